"""TensorFlow's file formats around a graph: checkpoints, SavedModels, tensor bundles, functions."""
