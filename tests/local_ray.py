"""A local Ray cluster for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_ATTEMPTS = 4  # Ray gives up after 30 s, which a busy machine may need
_GAVE_UP = "timed out"  # "Timed out waiting for file", "The current node timed out during startup"


@contextmanager
def local_ray(*paths: Path | str, reason: str) -> Iterator[Any]:
    """Start a local Ray cluster with two CPUs, and yield the package ray; its processes import from `paths` and here.

    The test is skipped for `reason` if Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")  # the first of its waits, 30 s by default
    ray = pytest.importorskip("ray", reason=reason)
    variables = {"PYTHONPATH": os.pathsep.join(str(path) for path in (Path(__file__).parent, *paths) if path)}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            ray.init(
                "local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": variables}
            )
            break
        except Exception as error:  # Ray raises nothing more specific
            ray.shutdown()
            if _GAVE_UP not in str(error).lower() or attempt == _ATTEMPTS:
                raise
    try:
        yield ray
    finally:
        ray.shutdown()
