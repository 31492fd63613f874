"""Reading ahead: in order, and within bounds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stand_ins import one_face, write_photo

from faceall.gallery.registration import reader as reading
from faceall.gallery.registration.naming import Candidate
from faceall.gallery.registration.reader import Arrival, Reader


@pytest.fixture
def reader(gallery: object) -> Reader:
    """A reader on an empty gallery."""
    store = gallery._store  # type: ignore[attr-defined]
    return Reader(store, refile=False)


@pytest.fixture
def candidates(photos: Path) -> list[Candidate]:
    """Forty photos, every fourth of which is missing."""
    paths = [photos / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        if number % 4:
            write_photo(path, one_face(number))
    return [Candidate(path, "Ada") for path in paths]


def test_arrivals_keep_their_order(reader: Reader, candidates: list[Candidate]) -> None:
    """However many threads read, arrivals come in the order of the candidates, missing files among them."""
    with ThreadPoolExecutor(4) as threads:
        arrivals = list(reader.read_ahead(candidates, threads))
    assert [arrival.candidate for arrival in arrivals] == candidates
    assert [arrival.image is None for arrival in arrivals] == [number % 4 == 0 for number in range(40)]


@pytest.mark.parametrize(("limit", "value", "most"), [("_AHEAD", 3, 4), ("_AHEAD_BYTES", 1, 1)])
def test_reading_ahead_is_bounded(
    reader: Reader, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch, limit: str, value: int, most: int
) -> None:
    """Never more pictures are read than the bound on files or on bytes allows, though one always is."""
    monkeypatch.setattr(reading, limit, value)
    lock, waiting, peak = threading.Lock(), 0, 0
    read = reader.read

    def counted(candidate: Candidate) -> Arrival:
        nonlocal waiting, peak
        with lock:
            waiting += 1
            peak = max(peak, waiting)
        return read(candidate)

    monkeypatch.setattr(reader, "read", counted)
    taken = 0
    with ThreadPoolExecutor(4) as threads:
        for arrival in reader.read_ahead(candidates, threads):
            with lock:
                waiting -= arrival.sighting is not None
            taken += 1
    assert taken == 40
    assert 0 < peak <= most


def test_file_beyond_the_cap_is_not_read(
    reader: Reader, candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of absurd size has a result without being opened."""
    monkeypatch.setattr(reading, "LARGEST_FILE", 10)
    monkeypatch.setattr(reader, "read", lambda candidate: pytest.fail("was read"))
    with ThreadPoolExecutor(1) as threads:
        (arrival,) = reader.read_ahead(candidates[1:2], threads)
    assert arrival.result is not None
    assert arrival.result.status == "too-large"
