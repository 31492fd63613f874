"""Classification training: a net learns to tell known people apart."""

from faceall.train.classification.run import train_classifier

__all__ = ["train_classifier"]
