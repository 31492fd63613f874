"""Batch normalisation as one fused operation of TensorFlow; Keras's own uses several and is slower."""

from __future__ import annotations

from functools import cache
from typing import Any

from faceall.train.backend import import_keras


@cache
def batch_normalization() -> Any:
    """Create a layer class with the options, variables and file name of Keras's BatchNormalization.

    During training, feature maps are normalised by TensorFlow's fused operation, whose running variance is unbiased.
    With another backend, and for vectors, the layer is Keras's own.

    Returns
    -------
    type
        The layer class.
    """
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        return keras.layers.BatchNormalization
    import tensorflow as tf

    class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[name-defined, misc]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if len(inputs.shape) != 4 or self.axis not in (-1, 3) or not (training and self.trainable):
                return super().call(inputs, training=training, mask=mask)
            count = inputs.shape[-1]
            scale = tf.cast(self.gamma, tf.float32) if self.scale else tf.ones(count)
            shift = tf.cast(self.beta, tf.float32) if self.center else tf.zeros(count)
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs, scale, shift, epsilon=self.epsilon, is_training=True
            )
            rest = 1.0 - self.momentum
            self.moving_mean.assign(self.moving_mean * self.momentum + mean * rest)
            self.moving_variance.assign(self.moving_variance * self.momentum + variance * rest)
            return tf.cast(outputs, self.compute_dtype)

    return BatchNormalization
