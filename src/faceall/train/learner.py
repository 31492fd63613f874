"""A net together with what it is to learn, as one Keras model that takes a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from faceall.errors import TrainError
from faceall.train.backend import import_keras
from faceall.types import Array

Objective = Callable[[Any, Any], Any]
"""(what is wanted of a batch, its embeddings) -> a number, smaller is better. A Keras layer where it learns, too."""


class Learner:
    """A net, an objective and an optimiser.

    net        a Keras model: pictures -> embeddings
    objective  what it learns
    optimizer  a Keras optimiser
    """

    def __init__(self, net: Any, objective: Objective, optimizer: Any) -> None:
        self.net = net
        self.objective = objective
        self.optimizer = optimizer
        self._model = _model(net, objective)
        self._model.compile(optimizer=optimizer, jit_compile=False)
        optimizer.build(self._model.trainable_variables)

    def learn(self, pictures: Array, wanted: Any, *, rate: float) -> float:
        """One step; the loss before it.

        pictures  (N, H, W, 3) float32, standardised
        wanted    what the objective compares the embeddings with
        rate      the learning rate
        Raises TrainError where the loss is no number any more.
        """
        self.optimizer.learning_rate = rate
        loss = float(self._model.train_on_batch(pictures, wanted))
        self._model.reset_metrics()
        if not np.isfinite(loss):
            raise TrainError("the loss is no number any more: the learning rate is too high, go on with a lower one")
        return loss

    def settle(self, pictures: Array) -> None:
        """Take the running statistics of all normalisations from a batch: pictures (N, H, W, 3) float32, standardised.

        Weights by chance with statistics that are not theirs make a net in use that dies out layer by layer, down to
        vectors too short to be told from rounding.
        """
        norms = [layer for layer in self.net.layers if hasattr(layer, "moving_variance")]
        kept = [layer.momentum for layer in norms]
        try:
            for layer in norms:
                layer.momentum = 0.0
            self.net(pictures, training=True)
        finally:
            for layer, momentum in zip(norms, kept, strict=True):
                layer.momentum = momentum

    def embed(self, pictures: Array, *, batch: int = 64) -> Array:
        """Embeddings (n, D) float32 of standardised pictures (n, H, W, 3), as in use, not as while training."""
        return np.concatenate(
            [
                np.asarray(self._model.predict_on_batch(pictures[at : at + batch]))
                for at in range(0, len(pictures), batch)
            ]
        )

    def weights(self) -> dict[str, Array]:
        """All variables of the net and the objective, by their paths."""
        return {variable.path: _copied(variable) for variable in self._model.variables}

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Put back what `weights` gave. Raises TrainError where they are of another net."""
        _assign(self._model.variables, weights, [variable.path for variable in self._model.variables])

    def optimizer_state(self) -> dict[str, Array]:
        """All variables of the optimiser, by their numbers."""
        return {f"{number:05d}": _copied(value) for number, value in enumerate(self.optimizer.variables)}

    def set_optimizer_state(self, state: Mapping[str, Array]) -> None:
        """Put back what `optimizer_state` gave. Raises TrainError where it is of another optimiser."""
        names = [f"{number:05d}" for number in range(len(self.optimizer.variables))]
        _assign(self.optimizer.variables, state, names)


def _copied(variable: Any) -> Array:
    return np.array(import_keras().ops.convert_to_numpy(variable))


def _assign(variables: Sequence[Any], values: Mapping[str, Array], names: Sequence[str]) -> None:
    if sorted(names) != sorted(values):
        different = sorted(set(names) ^ set(values))[:3]
        raise TrainError(f"the checkpoint is of another net or optimiser: {', '.join(different)} do not occur in both")
    for variable, name in zip(variables, names, strict=True):
        value = values[name]
        if tuple(variable.shape) != value.shape:
            raise TrainError(
                f"the checkpoint is of another net: '{name}' is {value.shape}, not {tuple(variable.shape)}"
            )
        variable.assign(value)


def _model(net: Any, objective: Objective) -> Any:
    """The net as a Keras model whose loss is the objective, on any backend."""
    keras = import_keras()

    class LearnerModel(keras.Model):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__(name="learner")
            self.net = net
            self.objective = objective

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.net(inputs, training=training)

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            return self.objective(y, y_pred)

    model = LearnerModel()
    model.built = True
    return model


class Averages:
    """Running averages of weights, which often do better than the weights themselves (Polyak and Juditsky 1992).

    keep   how much of the average stays at each update
    """

    def __init__(self, keep: float, values: Mapping[str, Array] | None = None) -> None:
        self.keep = keep
        self.values: dict[str, Array] = {name: np.array(value) for name, value in (values or {}).items()}

    def update(self, weights: Mapping[str, Array]) -> None:
        """Take up the weights of now; the first ones as they are."""
        for name, value in weights.items():
            held = self.values.get(name)
            if held is None or value.dtype.kind != "f":
                self.values[name] = np.array(value)
            else:
                held *= np.asarray(self.keep, held.dtype)
                held += np.asarray(1 - self.keep, held.dtype) * value
