"""HTML reports of evaluations, with plots and thumbnails."""
