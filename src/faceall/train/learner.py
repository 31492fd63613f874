"""A net with its objective as one Keras model that learns from one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from faceall.errors import TrainError
from faceall.train.backend import import_keras
from faceall.types import Array

Objective = Callable[[Any, Any], Any]
"""From the targets of a batch and its embeddings to a loss. A Keras layer if it has weights of its own."""


class Learner:
    """A net, an objective and an optimiser.

    Parameters
    ----------
    net : keras.Model
        From images to embeddings.
    objective : callable
        The loss.
    optimizer : keras.optimizers.Optimizer
        The optimiser.
    """

    def __init__(self, net: Any, objective: Objective, optimizer: Any) -> None:
        self.net = net
        self.objective = objective
        self.optimizer = optimizer
        self._model = _model(net, objective)
        self._model.compile(optimizer=optimizer, jit_compile=False)
        optimizer.build(self._model.trainable_variables)

    def learn(self, images: Array, wanted: Any, *, rate: float) -> float:
        """Do one step.

        Parameters
        ----------
        images : (N, H, W, 3) float32
            Standardised images.
        wanted
            The targets of the objective.
        rate : float
            The learning rate.

        Returns
        -------
        float
            The loss before the step.

        Raises
        ------
        TrainError
            If the loss is not finite.
        """
        self.optimizer.learning_rate = rate
        loss = float(self._model.train_on_batch(images, wanted))
        self._model.reset_metrics()
        if not np.isfinite(loss):
            raise TrainError("the loss is not finite: the learning rate is too high, resume with a lower one")
        return loss

    def settle(self, images: Array) -> None:
        """Set the running statistics of all normalisation layers from a batch.

        With random weights and default statistics, the activations at inference shrink layer by layer, down to the size
        of rounding errors.

        Parameters
        ----------
        images : (N, H, W, 3) float32
            Standardised images.
        """
        norms = [layer for layer in self.net.layers if hasattr(layer, "moving_variance")]
        kept = [layer.momentum for layer in norms]
        try:
            for layer in norms:
                layer.momentum = 0.0
            self.net(images, training=True)
        finally:
            for layer, momentum in zip(norms, kept, strict=True):
                layer.momentum = momentum

    def embed(self, images: Array, *, batch: int = 64) -> Array:
        """Embed images in inference mode.

        Parameters
        ----------
        images : (n, H, W, 3) float32
            Standardised images.
        batch : int
            Images per batch.

        Returns
        -------
        (n, D) float32
            Unit vectors.
        """
        return np.concatenate(
            [np.asarray(self._model.predict_on_batch(images[at : at + batch])) for at in range(0, len(images), batch)]
        )

    def weights(self) -> dict[str, Array]:
        """Return all variables of the net and the objective by their paths."""
        return {variable.path: _copied(variable) for variable in self._model.variables}

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Restore what `weights` returned.

        Parameters
        ----------
        weights : mapping of str to array
            Variables by their paths.

        Raises
        ------
        TrainError
            If they belong to another net.
        """
        _assign(self._model.variables, weights, [variable.path for variable in self._model.variables])

    def optimizer_state(self) -> dict[str, Array]:
        """Return all variables of the optimiser by their numbers."""
        return {f"{number:05d}": _copied(value) for number, value in enumerate(self.optimizer.variables)}

    def set_optimizer_state(self, state: Mapping[str, Array]) -> None:
        """Restore what `optimizer_state` returned.

        Parameters
        ----------
        state : mapping of str to array
            Variables by their numbers.

        Raises
        ------
        TrainError
            If they belong to another optimiser.
        """
        names = [f"{number:05d}" for number in range(len(self.optimizer.variables))]
        _assign(self.optimizer.variables, state, names)


def _copied(variable: Any) -> Array:
    """Copy a variable."""
    return np.array(import_keras().ops.convert_to_numpy(variable))


def _assign(variables: Sequence[Any], values: Mapping[str, Array], names: Sequence[str]) -> None:
    """Assign values by name; names and shapes must agree."""
    if sorted(names) != sorted(values):
        different = sorted(set(names) ^ set(values))[:3]
        raise TrainError(
            f"the checkpoint belongs to another net or optimiser: {', '.join(different)} do not occur in both"
        )
    for variable, name in zip(variables, names, strict=True):
        value = values[name]
        if tuple(variable.shape) != value.shape:
            raise TrainError(
                f"the checkpoint belongs to another net: '{name}' is {value.shape}, not {tuple(variable.shape)}"
            )
        variable.assign(value)


def _model(net: Any, objective: Objective) -> Any:
    """Wrap the net in a Keras model whose loss is the objective, on any backend."""
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
    """Running averages of weights, which often generalise better than the weights (Polyak and Juditsky 1992).

    Parameters
    ----------
    keep : float
        Share of the average that stays at each update.
    values : mapping of str to array, optional
        Averages to start from.
    """

    def __init__(self, keep: float, values: Mapping[str, Array] | None = None) -> None:
        self.keep = keep
        self.values: dict[str, Array] = {name: np.array(value) for name, value in (values or {}).items()}

    def update(self, weights: Mapping[str, Array]) -> None:
        """Update the averages with the current weights; the first ones are copied."""
        for name, value in weights.items():
            held = self.values.get(name)
            if held is None or value.dtype.kind != "f":
                self.values[name] = np.array(value)
            else:
                held *= np.asarray(self.keep, held.dtype)
                held += np.asarray(1 - self.keep, held.dtype) * value
