"""Distillation: a student learns a teacher's vectors from faces without names."""

from faceall.train.distillation.initialisation import initialise_from_teacher
from faceall.train.distillation.run import branch, distill
from faceall.train.distillation.targets import Targets, fit_targets

__all__ = ["Targets", "branch", "distill", "fit_targets", "initialise_from_teacher"]
