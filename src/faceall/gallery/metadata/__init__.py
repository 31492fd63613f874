"""Names of people in the metadata of photos: read from XMP and Picasa, written to sidecars."""
