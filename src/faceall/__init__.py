"""Find, remember and recognise faces: offline, fast, nothing lost."""

__version__ = "0.1.0"
