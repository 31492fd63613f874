"""Registration: scan files, analyse them in batches, store photos and faces."""
