"""Options of net, optimiser and images of a training; all are stored in run.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from faceall.errors import TrainError
from faceall.train.backend import import_keras
from faceall.train.data.augmentation import Augmentation
from faceall.train.data.people import DatasetRules
from faceall.train.losses import LossName, Objective
from faceall.train.nets import ARCHITECTURES, MOMENTUM, check_side
from faceall.train.schedules import Schedule, ScheduleKind

Policy = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Options = TypeVar("Options", bound="TrainOptions")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of every training.

    Attributes
    ----------
    architecture : {"inception_resnet_v1", "mobile_facenet"}
        The net.
    width : float
        Number of channels relative to the published net.
    multiple : int
        Round numbers of channels to a multiple.
    embedding_size : int
        Number of dimensions of the embedding.
    image_size : int
        Side in pixels of the net's images.
    inner : int
        Side in pixels of the middle of the crops, which shows the face; the margin is for augmentation.
    batch : int
        Faces per batch.
    rate : float
        Highest learning rate of AdamW.
    schedule : {"constant", "cosine", "steps"}
        How the learning rate changes.
    warm_up : int
        Number of first steps in which the rate rises.
    length : int or None
        Number of steps; None continues until the training is stopped.
    decay : int
        Number of last steps in which a constant rate falls to zero.
    milestones : tuple of int
        Steps at which "steps" divides the rate by ten.
    weight_decay : float
        Weight decay of AdamW.
    momentum : float
        Share of the running statistics of normalisation layers that stays at each step.
    policy : {"float32", "mixed_bfloat16", "mixed_float16"}
        Keras's dtype policy.
    augmentation : Augmentation
        Random changes of the crops.
    seed : int
        Determines everything random.

    Raises
    ------
    TrainError
        If an option is out of range.
    """

    architecture: str = "inception_resnet_v1"
    width: float = 0.34
    multiple: int = 8
    embedding_size: int = 128
    image_size: int = 112
    inner: int = 160
    batch: int = 64
    rate: float = 1e-3
    schedule: ScheduleKind = "constant"
    warm_up: int = 200
    length: int | None = None
    decay: int = 0
    milestones: tuple[int, ...] = ()
    weight_decay: float = 0.05
    momentum: float = MOMENTUM
    policy: Policy = "float32"
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise TrainError(f"unknown architecture '{self.architecture}'; known: {', '.join(ARCHITECTURES)}")
        if self.policy not in get_args(Policy):
            raise TrainError(f"unknown dtype '{self.policy}'; known: {', '.join(get_args(Policy))}")
        check_side(self.architecture, self.image_size)
        if self.batch < 2:
            raise TrainError(f"the batch size is {self.batch}, expected at least 2")
        if self.inner < 1:
            raise TrainError(f"the face has {self.inner} pixels of the crop, expected at least 1")
        _ = self.rates

    @property
    def rates(self) -> Schedule:
        """Schedule of the learning rate."""
        return Schedule(
            rate=self.rate,
            kind=self.schedule,
            warm_up=self.warm_up,
            length=self.length,
            decay=self.decay,
            milestones=self.milestones,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values: dict[str, Any] = _plain(asdict(self))
        return values

    @classmethod
    def from_json(cls: type[Options], values: Mapping[str, Any]) -> Options:
        """Read what `to_json` returned.

        Parameters
        ----------
        values : mapping
            Plain JSON values.

        Returns
        -------
        TrainOptions
            Options of this class.

        Raises
        ------
        TrainError
            If an option is unknown, missing or unusable.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := set(values) - known:
            raise TrainError(f"run.json has unknown options: {', '.join(sorted(unknown))}")
        read = dict(values)
        try:
            read["augmentation"] = Augmentation(**read["augmentation"])
            if "milestones" in read:
                read["milestones"] = tuple(read["milestones"])
            if "rules" in read:
                repeats = tuple((int(limit), int(times)) for limit, times in read["rules"]["repeats"])
                read["rules"] = DatasetRules(**{**read["rules"], "repeats": repeats})
            return cls(**read)
        except (KeyError, TypeError, ValueError) as error:
            raise TrainError("run.json is damaged: its options cannot be read") from error

    def net(self, *, image_size: int | None = None) -> Any:
        """Create the untrained Keras model.

        Parameters
        ----------
        image_size : int, optional
            Side in pixels of its images; by default any size if the architecture allows it.

        Returns
        -------
        keras.Model
            The model.
        """
        size = image_size or (None if self.architecture == "inception_resnet_v1" else self.image_size)
        return ARCHITECTURES[self.architecture](
            width=self.width,
            multiple=self.multiple,
            embedding_size=self.embedding_size,
            image_size=size,
            momentum=self.momentum,
        )

    def seeded_net(self) -> Any:
        """Create the untrained Keras model with weights drawn from the seed, under the dtype policy."""
        keras = import_keras()
        keras.utils.set_random_seed(self.seed)
        keras.config.set_dtype_policy(self.policy)
        try:
            return self.net()
        finally:
            keras.config.set_dtype_policy("float32")

    def optimizer(self) -> Any:
        """Create AdamW, without weight decay for biases, betas and PReLU slopes."""
        optimizer = import_keras().optimizers.AdamW(self.rate, weight_decay=self.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["beta", "bias", "alpha"])
        return optimizer


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(TrainOptions):
    """Options of a distillation.

    Attributes
    ----------
    teacher : str
        Name of the teacher.
    second : str or None
        A second teacher with equal weight; the vectors of both are concatenated.
    relations : float
        Weight of the cosines between the faces of a batch.
    """

    teacher: str = "teacher"
    second: str | None = None
    relations: float = 4.0


@dataclass(frozen=True, kw_only=True)
class ClassificationOptions(TrainOptions):
    """Options of a classification training.

    Attributes
    ----------
    loss : {"softmax", "center", "arcface", "triplet", "semi-hard"}
        The loss; "triplet" chooses triplets as facenet does.
    margin : float or None
        For ArcFace in radians (default 0.5), for triplets in squared distance (default 0.2).
    scale : float
        Factor of the cosines.
    center_factor : float
        Weight of the distance to the centres, relative to the softmax.
    center_rate : float
        Share of the way that a centre moves towards its faces in a step.
    people : int
        People per batch of triplets.
    side : int or None
        Side in pixels of the crops including the margin; None for the default margin around `inner`.
    held_out : float
        Share of the images that is measured on instead of trained on.
    rules : DatasetRules
        How often each person is used.
    """

    loss: LossName = "arcface"
    margin: float | None = None
    scale: float = 64.0
    center_factor: float = 1e-2
    center_rate: float = 0.05
    people: int = 16
    side: int | None = None
    held_out: float = 0.0
    rules: DatasetRules = field(default_factory=DatasetRules)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.held_out <= 0.5:
            raise TrainError(f"the held-out share is {self.held_out}, expected 0 to 0.5")
        if self.crop_side < self.inner:
            raise TrainError(f"crops of {self.crop_side} pixels are too small for a face of {self.inner}")

    @property
    def crop_side(self) -> int:
        """Side in pixels of the crops including the margin."""
        return self.inner + 2 * round(self.inner * 0.075) if self.side is None else self.side

    @property
    def by_triplets(self) -> bool:
        """Whether the loss compares the faces of a batch."""
        return self.loss in ("triplet", "semi-hard")

    def objective(self, classes: int) -> Objective:
        """Create the loss for a number of people."""
        from faceall.train.losses import make_loss

        return make_loss(
            self.loss,
            classes=classes,
            size=self.embedding_size,
            margin=self.margin,
            scale=self.scale,
            center_factor=self.center_factor,
            center_rate=self.center_rate,
        )


def _plain(value: Any) -> Any:
    """Convert tuples to lists."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
