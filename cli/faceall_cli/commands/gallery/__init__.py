"""Commands that work on a gallery: photos, people, search, upkeep, bundles."""
