"""Where Keras comes in: late, and with a plain word where it is absent."""

from __future__ import annotations

import os
from typing import Any

from faceall.errors import MissingDependencyError, TrainError


def import_keras() -> Any:
    """The module `keras`. Raises MissingDependencyError, which names the extra, where it or its backend is absent."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
    except ImportError as error:
        raise MissingDependencyError('training needs Keras and TensorFlow: pip install "faceall[train]"') from error
    return keras


def limit_threads(threads: int) -> None:
    """Let Keras's backend compute with so many threads; before it computes anything.

    Raises TrainError where it has begun already.
    """
    keras = import_keras()
    try:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        elif keras.backend.backend() == "torch":
            import torch

            torch.set_num_threads(threads)
    except RuntimeError as error:
        raise TrainError("the number of threads has to be set before the first training of a process") from error
