"""Train embedders: cut faces out of photos, learn from them, write a model folder that faceall runs.

Keras is imported by the functions that need it; the extra `faceall[train]` installs it.
"""

from faceall.train.align import AlignedPhoto, Aligner, Alignment, AlignOptions, FaceCrop
from faceall.train.backend import limit_threads
from faceall.train.classification import train_classifier
from faceall.train.data import Augmentation, DatasetRules, Shard, common_inner, crop_sizes, only_teacher, open_shard
from faceall.train.data import prepare as prepare_shard
from faceall.train.distillation import branch, distill, initialise_from_teacher
from faceall.train.export import ExportOptions, export_model, export_run, resume_run, run_weights
from faceall.train.options import ClassificationOptions, DistillationOptions, TrainOptions
from faceall.train.run_folder import RunFolder
from faceall.train.schedules import Schedule
from faceall.train.training import Loop

__all__ = [
    "AlignOptions",
    "AlignedPhoto",
    "Aligner",
    "Alignment",
    "Augmentation",
    "ClassificationOptions",
    "DatasetRules",
    "DistillationOptions",
    "ExportOptions",
    "FaceCrop",
    "Loop",
    "RunFolder",
    "Schedule",
    "Shard",
    "TrainOptions",
    "branch",
    "common_inner",
    "crop_sizes",
    "distill",
    "export_model",
    "export_run",
    "initialise_from_teacher",
    "limit_threads",
    "only_teacher",
    "open_shard",
    "prepare_shard",
    "resume_run",
    "run_weights",
    "train_classifier",
]
