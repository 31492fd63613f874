"""Make tensorflow_files.zip with the real TensorFlow and Keras, which are needed here only.

Small nets with random weights in every format, and what TensorFlow computes for `images.npy`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(2, 24, 24, 3)).astype(np.float32)
V1, LAYERS = tf.compat.v1, keras.layers


def variable(name: str, shape: tuple[int, ...], resource: bool, low: float = -1.0, high: float = 1.0) -> Any:
    value = RANDOM.uniform(low, high, shape).astype(np.float32)
    return V1.get_variable(name, initializer=tf.constant(value), use_resource=resource)


def normalised(x: Any, channels: int, training: Any, resource: bool) -> Any:
    """Fused batch normalisation behind a training flag, as slim writes it."""
    with V1.variable_scope("Conv2d_1a/BatchNorm"):
        beta = variable("beta", (channels,), resource)
        mean = variable("moving_mean", (channels,), resource)
        variance = variable("moving_variance", (channels,), resource, 0.3, 2)

    def train() -> Any:
        y, now, _ = V1.nn.fused_batch_norm(x, tf.ones(channels), beta, epsilon=1e-3, is_training=True)
        if resource:
            return y
        with tf.control_dependencies([V1.assign_sub(mean, (mean - now) * 0.01)]):
            return tf.identity(y)

    def infer() -> Any:
        return V1.nn.fused_batch_norm(x, tf.ones(channels), beta, mean, variance, epsilon=1e-3, is_training=False)[0]

    return V1.cond(training, train, infer)


def first_generation(folder: Path, resource: bool) -> None:
    """A checkpoint of reference variables in a release's names, or a SavedModel of resource variables."""
    with tf.Graph().as_default():
        V1.disable_control_flow_v2()
        images = V1.placeholder(tf.float32, (None, 24, 24, 3), name="input")
        training = V1.placeholder(tf.bool, name="phase_train")
        with V1.variable_scope("Net"):
            y = V1.nn.conv2d(
                images, variable("Conv2d_1a/weights", (3, 3, 3, 8), resource), strides=[1, 2, 2, 1], padding="VALID"
            )
            y = V1.nn.max_pool2d(tf.nn.relu(normalised(y, 8, training, resource)), 3, 2, "VALID")
            bottleneck = variable("Bottleneck/weights", (8, 6), resource)
            y = V1.nn.l2_normalize(tf.matmul(tf.reduce_mean(y, [1, 2]), bottleneck), 1, 1e-10)
        vectors = tf.identity(y, "embeddings")
        variable("Net/Bottleneck/weights/Adam", (1000,), resource)
        with V1.Session() as session:
            session.run(V1.global_variables_initializer())
            expected = session.run(vectors, {images: IMAGES, training: False})
            if resource:
                signature = V1.saved_model.signature_def_utils.predict_signature_def({"images": images}, {"v": vectors})
                builder = V1.saved_model.Builder(str(folder / "saved_v1"))
                builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
                builder.save()
                np.save(folder / "saved_v1.npy", expected)
                return
            saver, prefix = V1.train.Saver(), str(folder / "release" / "model-20180402-1.ckpt")
            (folder / "release").mkdir()
            saver.save(session, prefix, global_step=275)
            session.run(V1.assign(bottleneck, -bottleneck))
            saver.save(session, prefix, global_step=90)
            np.save(folder / "release.npy", expected)
    (folder / "release/model-20180402-1.ckpt-90.meta").unlink()
    (folder / "release/model-20180402-1.ckpt-275.meta").rename(folder / "release/model-20180402-1.meta")
    (folder / "release/checkpoint").unlink()


def functional() -> Any:
    start = LAYERS.Input((24, 24, 3))
    y = LAYERS.Rescaling(1 / 128.0, offset=-1.0)(start)
    y = LAYERS.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(y)
    y = LAYERS.Activation("relu")(LAYERS.BatchNormalization(epsilon=1e-3)(y))
    z = LAYERS.PReLU(shared_axes=[1, 2])(LAYERS.DepthwiseConv2D(3, padding="same")(y))
    y = LAYERS.Add()([y, LAYERS.Conv2D(8, 1, activation="relu")(z)])
    left = LAYERS.MaxPooling2D(3, 2)(y)
    right = LAYERS.Conv2D(4, 2)(LAYERS.Conv2D(4, 3, strides=2)(LAYERS.ZeroPadding2D(1)(y)))
    y = LAYERS.Dropout(0.3)(LAYERS.AveragePooling2D(2, 1)(LAYERS.Concatenate()([left, right])))
    flat = LAYERS.Dense(7, activation="relu")(LAYERS.Flatten()(LAYERS.LeakyReLU(negative_slope=0.1)(y)))
    y = LAYERS.Concatenate()([LAYERS.GlobalAveragePooling2D()(y), flat])
    y = LAYERS.BatchNormalization(scale=False)(LAYERS.Dense(5, use_bias=False)(y))
    return keras.Model(start, LAYERS.UnitNormalization()(y), name="functional")


def sequential() -> Any:
    inner = keras.Sequential([LAYERS.Input((11, 11, 4)), LAYERS.ReLU(), LAYERS.Conv2D(3, 3)], name="inner")
    start = [LAYERS.Input((24, 24, 3)), LAYERS.Conv2D(4, 3, activation="relu"), LAYERS.MaxPooling2D(2)]
    return keras.Sequential([*start, inner, LAYERS.Flatten(), LAYERS.Dense(6)], name="sequential")


def second_generation(folder: Path) -> None:
    for model in (functional(), sequential()):
        for item in model.variables:
            low, high = (0.3, 1) if "variance" in item.path else (-0.3, 0.3)
            item.assign(RANDOM.uniform(low, high, item.shape))
        np.save(folder / f"{model.name}.npy", model(IMAGES, training=False).numpy())
        model.save(folder / f"{model.name}.keras")
        model.save(folder / f"{model.name}.h5")
        if model.name == "functional":
            model.export(folder / "exported", verbose=False)
        else:
            tf.saved_model.save(model, str(folder / "saved_v2"))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        folder.mkdir()
        np.save(folder / "pictures.npy", IMAGES)
        first_generation(folder, resource=False)
        first_generation(folder, resource=True)
        second_generation(folder)
        for useless in [*folder.rglob("fingerprint.pb"), *folder.rglob("assets")]:
            shutil.rmtree(useless) if useless.is_dir() else useless.unlink()
        shutil.make_archive(str(Path(__file__).with_name("tensorflow_files")), "zip", folder)


if __name__ == "__main__":
    main()
