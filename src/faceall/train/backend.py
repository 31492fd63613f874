"""Import Keras late, with a clear error if it is missing."""

from __future__ import annotations

import os
from typing import Any

from faceall.arguments import checked
from faceall.errors import MissingDependencyError, TrainError


def import_keras() -> Any:
    """Import Keras.

    Returns
    -------
    module
        The module `keras`.

    Raises
    ------
    MissingDependencyError
        If Keras or its backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
    except ImportError as error:
        raise MissingDependencyError('training needs Keras and TensorFlow: pip install "faceall[train]"') from error
    return keras


@checked
def limit_threads(threads: int) -> None:
    """Limit the threads of Keras's backend, before it computes anything.

    Parameters
    ----------
    threads : int
        Number of threads.

    Raises
    ------
    TrainError
        If the backend has computed already.
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
        raise TrainError("the number of threads must be set before the first training of a process") from error
