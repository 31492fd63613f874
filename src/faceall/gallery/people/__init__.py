"""People of a gallery: names, clusters, removal."""
