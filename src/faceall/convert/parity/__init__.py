"""Compare a converted net with its source: `comparison`, the `report`, and the crops of faces for both."""
