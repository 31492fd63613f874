"""What every training is told of its net, its optimiser and its pictures; all of it is in run.json."""

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
    """What a training is told.

    architecture    "inception_resnet_v1" or "mobile_facenet"
    width           its channels, in proportion to the published net
    multiple        what they are rounded to a multiple of
    embedding_size  how many numbers it makes of a face
    image_size      rows and columns of its pictures
    inner           rows and columns of the middle of the crops that stand for the face; what is around is room to move
    batch           faces in a batch
    rate            the highest learning rate, of AdamW
    schedule        how the rate goes on: "constant", "cosine" or "steps"
    warm_up         over how many steps the rate rises
    length          how many steps there are; None until it is stopped
    decay           over how many of the last steps a constant rate falls to nothing
    milestones      where "steps" falls to a tenth
    weight_decay    of AdamW
    momentum        how much of the running statistics of a normalisation stays at each step
    policy          the numbers it computes in; the smaller ones pay where the processor has them
    augmentation    how much crops may change
    seed            of everything that is random

    Raises TrainError for values that make no training.
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
            raise TrainError(f"unknown numbers '{self.policy}'; known: {', '.join(get_args(Policy))}")
        check_side(self.architecture, self.image_size)
        if self.batch < 2:
            raise TrainError(f"a batch of {self.batch} has no two faces to compare; expected at least 2")
        if self.inner < 1:
            raise TrainError(f"the face is {self.inner} pixels of the crop, expected at least 1")
        _ = self.rates

    @property
    def rates(self) -> Schedule:
        """The learning rate by step."""
        return Schedule(
            rate=self.rate,
            kind=self.schedule,
            warm_up=self.warm_up,
            length=self.length,
            decay=self.decay,
            milestones=self.milestones,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        values: dict[str, Any] = _plain(asdict(self))
        return values

    @classmethod
    def from_json(cls: type[Options], values: Mapping[str, Any]) -> Options:
        """What `to_json` gave. Raises TrainError for unknown or missing options."""
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
        """The untrained Keras model, for pictures of any size where the architecture has it so.

        image_size  fixes the rows and columns of its pictures
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
        """The untrained Keras model, its weights by chance from the seed, in the numbers of the policy."""
        keras = import_keras()
        keras.utils.set_random_seed(self.seed)
        keras.config.set_dtype_policy(self.policy)
        try:
            return self.net()
        finally:
            keras.config.set_dtype_policy("float32")

    def optimizer(self) -> Any:
        """AdamW, without decay for what shifts."""
        optimizer = import_keras().optimizers.AdamW(self.rate, weight_decay=self.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["beta", "bias", "alpha"])
        return optimizer


@dataclass(frozen=True, kw_only=True)
class DistillationOptions(TrainOptions):
    """What a distillation is told.

    teacher    the name of the vectors that are learnt
    second     another teacher, learnt from as much: the vectors of both side by side
    relations  the weight of these cosines
    """

    teacher: str = "teacher"
    second: str | None = None
    relations: float = 4.0


@dataclass(frozen=True, kw_only=True)
class ClassificationOptions(TrainOptions):
    """What a training on people is told.

    loss           "softmax", "center", "arcface", "triplet" (facenet's choice) or "semi-hard"
    margin         of ArcFace in radians (0.5), of triplets in squared distance (0.2); None for these
    scale          what cosines are multiplied with
    center_factor  how much the distance to the centres counts beside the softmax
    center_rate    the share of the way that a centre goes in a step
    people         how many people are in a batch of triplets
    side           rows and columns of the crops, room included; None for the usual room around `inner`
    held_out       the share of the pictures that is not learnt from but measured on
    rules          how much each person counts
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
            raise TrainError(f"{self.held_out} of the pictures are to be held out, expected a share from 0 to 0.5")
        if self.crop_side < self.inner:
            raise TrainError(f"crops of {self.crop_side} pixels cannot hold a face of {self.inner}")

    @property
    def crop_side(self) -> int:
        """Rows and columns of the crops, room included."""
        return self.inner + 2 * round(self.inner * 0.075) if self.side is None else self.side

    @property
    def by_triplets(self) -> bool:
        """Whether the loss compares the faces of a batch."""
        return self.loss in ("triplet", "semi-hard")

    def objective(self, classes: int) -> Objective:
        """The loss for so many people."""
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
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
