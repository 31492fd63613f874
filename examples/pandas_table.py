"""Search several images and evaluate the result as a table."""

from pathlib import Path

import faceall
from faceall.errors import MissingDependencyError

HERE = Path(__file__).parent
results = faceall.find(HERE / "someone.jpg", HERE / "photos")
try:
    print(results.to_pandas().groupby("match")["distance"].describe())
except MissingDependencyError:
    print(results.to_dicts())  # pandas is not installed
