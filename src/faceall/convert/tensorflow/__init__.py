"""TensorFlow graphs: read, simplify, evaluate in NumPy, and translate into a Caffe net.

`graphdef` reads a graph, `simplify` orders the passes of `passes` and `patterns`, `facenet` translates with `layers`
and `windows`, `evaluate` runs a graph with `operations`, and `graph_writer` builds graphs.
"""
