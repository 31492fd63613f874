"""Gallery bundles: a gallery as one file for another machine; see docs/explanation/gallery-bundle.md."""
