"""Evaluate models on labelled pairs with the LFW protocol, and calibrate thresholds on the people of a gallery."""

from faceall.evaluate.calibration import CalibrationReport, NearPeople, calibrate
from faceall.evaluate.curves import Roc, area_under, bootstrap, equal_error_rate, roc, wilson
from faceall.evaluate.differences import add_comparisons, add_factors, add_groups
from faceall.evaluate.embedding import UnusableImage
from faceall.evaluate.evaluation import Evaluation, ModelResult, PairOptions, evaluate_pairs, model_as_json
from faceall.evaluate.folds import MEASURES, Measure, Scores, Validation, assign_folds, score
from faceall.evaluate.gallery_decisions import SearchCalibration, calibrate_searches
from faceall.evaluate.identification import OpenSetOptions, compare_identification, evaluate_identification, read_people
from faceall.evaluate.identification_results import Identification, IdentificationPoint, IdentificationResult
from faceall.evaluate.inputs.cfp import CfpProtocol, read_cfp
from faceall.evaluate.inputs.packed import PackedPairs, TemplateDetector, read_packed_pairs
from faceall.evaluate.pairs import Pair, read_pairs
from faceall.evaluate.reports.identification import identification_html
from faceall.evaluate.reports.verification import report_html
from faceall.evaluate.search_comparison import SearchOutcomes, read_searches
from faceall.evaluate.search_differences import add_search_factors, add_search_groups
from faceall.evaluate.search_parts import PartedSearches, SearchPart
from faceall.evaluate.speed import Speed
from faceall.evaluate.verification.comparison import PairedComparison, RateDifference, StoredResult, read_report
from faceall.evaluate.verification.groups import PartedRates, PartRates, Ratio
from faceall.evaluate.verification.images import FACTORS, Factor, read_groups
from faceall.evaluate.verification.rates import OperatingPoint, Verification
from faceall.evaluate.worst_searches import WorstSearch

__all__ = [
    "FACTORS",
    "MEASURES",
    "CalibrationReport",
    "CfpProtocol",
    "Evaluation",
    "Factor",
    "Identification",
    "IdentificationPoint",
    "IdentificationResult",
    "Measure",
    "ModelResult",
    "NearPeople",
    "OpenSetOptions",
    "OperatingPoint",
    "PackedPairs",
    "Pair",
    "PairOptions",
    "PairedComparison",
    "PartRates",
    "PartedRates",
    "PartedSearches",
    "RateDifference",
    "Ratio",
    "Roc",
    "Scores",
    "SearchCalibration",
    "SearchOutcomes",
    "SearchPart",
    "Speed",
    "StoredResult",
    "TemplateDetector",
    "UnusableImage",
    "Validation",
    "Verification",
    "WorstSearch",
    "add_comparisons",
    "add_factors",
    "add_groups",
    "add_search_factors",
    "add_search_groups",
    "area_under",
    "assign_folds",
    "bootstrap",
    "calibrate",
    "calibrate_searches",
    "compare_identification",
    "equal_error_rate",
    "evaluate_identification",
    "evaluate_pairs",
    "identification_html",
    "model_as_json",
    "read_cfp",
    "read_groups",
    "read_packed_pairs",
    "read_pairs",
    "read_people",
    "read_report",
    "read_searches",
    "report_html",
    "roc",
    "score",
    "wilson",
]
