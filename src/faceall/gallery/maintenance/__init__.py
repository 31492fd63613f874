"""Change the model of a gallery, move it, and export and import it as a folder."""
