"""A classifier on face vectors, trained on the people of a gallery or on a folder per person."""

from faceall.classify.classifier import Classifier, Prediction
from faceall.classify.people import LabelledVectors, vectors_of_folder, vectors_of_gallery

__all__ = ["Classifier", "LabelledVectors", "Prediction", "vectors_of_folder", "vectors_of_gallery"]
