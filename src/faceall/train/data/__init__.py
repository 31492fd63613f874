"""Training data: shards of crops with teachers' vectors, folders of people, augmentation, batches."""

from faceall.train.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from faceall.train.data.people import DatasetRules, People, crop_sizes, find_people, hold_out
from faceall.train.data.prepare import prepare
from faceall.train.data.shards import Faces, Shard, common_inner, only_teacher, open_shard, split

__all__ = [
    "NO_AUGMENTATION",
    "Augmentation",
    "DatasetRules",
    "Faces",
    "People",
    "Shard",
    "augment",
    "common_inner",
    "crop_sizes",
    "find_people",
    "hold_out",
    "only_teacher",
    "open_shard",
    "prepare",
    "split",
]
