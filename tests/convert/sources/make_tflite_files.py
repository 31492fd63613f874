"""Make the TFLite nets of these tests: /path/to/python make_tflite_files.py; needs TensorFlow with Keras.

Writes tflite_files.zip beside itself: small face nets with random weights, `images.npy`, and what TensorFlow Lite
computes for them, as NAME.npy.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def _unit(x, channels, *, stride=1, activation="prelu"):
    x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    if activation == "prelu":
        return layers.PReLU(shared_axes=[1, 2])(x)
    return layers.Activation(activation)(x)


def mobile(size: int = 32) -> keras.Model:
    """Stride 2 with uneven padding, depthwise, residual, PReLU, a global depthwise, a flat dense layer, unit length."""
    x = start = keras.Input((size, size, 3))
    x = _unit(x, 8, stride=2)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    y = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(y))
    x = layers.Add()([x, y])
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, 2, padding="valid")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(size // 4, padding="valid")(x)
    x = layers.Dense(16)(layers.Flatten()(x))
    return keras.Model(start, layers.UnitNormalization(axis=1)(x), name="mobile")


def squeeze(size: int = 24) -> keras.Model:
    """Squeeze-and-excitation, hard swish, concatenation, pools, a flattened image before the dense layer."""
    x = start = keras.Input((size, size, 3))
    x = _unit(x, 8, stride=2, activation="hard_silu")
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(4, 1, activation="relu")(y)
    y = layers.Conv2D(8, 1, activation="sigmoid")(y)
    x = layers.Multiply()([x, y])
    x = layers.Concatenate()([layers.MaxPooling2D(3, 2, padding="same")(x), layers.AveragePooling2D(2)(x)])
    x = _unit(x, 6, activation="tanh")
    return keras.Model(start, layers.Dense(10)(layers.Flatten()(x)), name="squeeze")


def main() -> None:
    """Write the archive."""
    random = np.random.default_rng(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(Path(__file__).with_name("tflite_files.zip"), "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for model in (mobile(), squeeze()):
            model.set_weights(
                [
                    random.uniform(0.5, 1.5, w.shape)
                    if "variance" in v.path or "gamma" in v.path
                    else random.normal(size=w.shape) * (0.25 if w.ndim < 3 else 1.5 / np.sqrt(np.prod(w.shape[:-1])))
                    for v, w in zip(model.weights, model.get_weights(), strict=True)
                ]
            )
            data = tf.lite.TFLiteConverter.from_keras_model(model).convert()
            images = random.uniform(-1, 1, (1, *model.input_shape[1:])).astype(np.float32)
            interpreter = tf.lite.Interpreter(model_content=data)
            interpreter.allocate_tensors()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
            interpreter.invoke()
            result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            archive.writestr(f"{model.name}.tflite", data)
            for name, array in ((f"{model.name}-images.npy", images), (f"{model.name}.npy", result)):
                file = Path(folder) / name
                np.save(file, array)
                archive.write(file, name)
            print(model.name, len(data), result.shape)


if __name__ == "__main__":
    main()
