"""Commands that work on model folders: install, convert, evaluate, calibrate."""
