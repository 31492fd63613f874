"""How well models tell people apart: LFW's protocol on any list of pairs, and thresholds from one's own people."""

from faceall.evaluate.calibration import CalibrationReport, NearPeople, calibrate
from faceall.evaluate.curves import Roc, area_under, bootstrap, equal_error_rate, roc, wilson
from faceall.evaluate.evaluation import Evaluation, ModelResult, evaluate_pairs, model_as_json
from faceall.evaluate.folds import MEASURES, Measure, Scores, Validation, assign_folds, score
from faceall.evaluate.pairs import Pair, read_pairs
from faceall.evaluate.pictures import UnusablePicture
from faceall.evaluate.report import report_html
from faceall.evaluate.speed import Speed

__all__ = [
    "MEASURES",
    "CalibrationReport",
    "Evaluation",
    "Measure",
    "ModelResult",
    "NearPeople",
    "Pair",
    "Roc",
    "Scores",
    "Speed",
    "UnusablePicture",
    "Validation",
    "area_under",
    "assign_folds",
    "bootstrap",
    "calibrate",
    "equal_error_rate",
    "evaluate_pairs",
    "model_as_json",
    "read_pairs",
    "report_html",
    "roc",
    "score",
    "wilson",
]
