"""What stands in the way of one layer."""


class CannotWriteLayerError(Exception):
    """One layer has no counterpart; the text says why. Collected by `write_layers`, never seen outside."""
