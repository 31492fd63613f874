"""Group faces that seem to show one person, and find people whose faces do not agree."""
