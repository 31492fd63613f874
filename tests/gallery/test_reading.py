"""Files are read ahead in order and within limits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.gallery.naming import Candidate
from faceall.gallery.registration import scan as reading
from faceall.gallery.registration.scan import Scanner
from faceall.gallery.registration.scanned_file import ScannedFile


@pytest.fixture
def scanner(gallery: object) -> Scanner:
    """A scanner on an empty gallery."""
    store = gallery._store  # type: ignore[attr-defined]
    return Scanner(store, reassign=False)


@pytest.fixture
def candidates(photos: Path) -> list[Candidate]:
    """Forty photos, every fourth of which is missing."""
    paths = [photos / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        if number % 4:
            write_photo(path, one_face(number))
    return [Candidate(path, "Ada") for path in paths]


def test_files_keep_their_order(scanner: Scanner, candidates: list[Candidate]) -> None:
    """With any number of threads files are returned in the order of candidates, including missing ones."""
    with ThreadPoolExecutor(4) as threads:
        files = list(scanner.scan_ahead(candidates, threads))
    assert [file.candidate for file in files] == candidates
    assert [file.image is None for file in files] == [number % 4 == 0 for number in range(40)]


@pytest.mark.parametrize(("limit", "value", "most"), [("_AHEAD", 3, 4), ("_AHEAD_BYTES", 1, 1)])
def test_reading_ahead_is_bounded(
    scanner: Scanner, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch, limit: str, value: int, most: int
) -> None:
    """The files read ahead stay within the limits on count and bytes, but at least one is read."""
    monkeypatch.setattr(reading, limit, value)
    lock, waiting, peak = threading.Lock(), 0, 0
    scan = scanner.scan

    def counted(candidate: Candidate) -> ScannedFile:
        nonlocal waiting, peak
        with lock:
            waiting += 1
            peak = max(peak, waiting)
        return scan(candidate)

    monkeypatch.setattr(scanner, "scan", counted)
    taken = 0
    with ThreadPoolExecutor(4) as threads:
        for file in scanner.scan_ahead(candidates, threads):
            with lock:
                waiting -= file.info is not None
            taken += 1
    assert taken == 40
    assert 0 < peak <= most


def test_file_beyond_the_cap_is_not_read(
    scanner: Scanner, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file above the size limit gets a result without being opened."""
    monkeypatch.setattr(reading, "MAX_FILE_SIZE", 10)
    monkeypatch.setattr(scanner, "scan", lambda candidate: pytest.fail("was read"))
    with ThreadPoolExecutor(1) as threads:
        (file,) = scanner.scan_ahead(candidates[1:2], threads)
    assert file.result is not None
    assert file.result.status == "too-large"
