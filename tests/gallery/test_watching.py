"""Watched folders: new, moved and removed photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import pytest
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError
from faceall.gallery import Gallery, NamesFrom, PhotoResult
from faceall.gallery.registration.watching import watch_folders


@pytest.mark.parametrize("poll", [0.2, None])
def test_changes_are_reported_as_they_appear(gallery: Gallery, photos: Path, poll: float | None) -> None:
    """Existing, new, moved and removed photos have one result each; faces of removed photos stay."""
    if poll is None:
        pytest.importorskip("watchfiles", reason="events need watchfiles")
    write_photo(photos / "a.png", one_face(1))
    stop = Event()
    end = Timer(60, stop.set)
    end.start()
    results = gallery.watch(photos, names_from="none", poll=poll, stop=stop)
    assert [next(results).status] == ["added"]
    timer = Timer(0.5, lambda: write_photo(photos / "b.png", one_face(2)))
    timer.start()
    found = next(results)
    assert (found.path, found.status) == (photos / "b.png", "added")
    (photos / "b.png").rename(photos / "c.png")
    Timer(0.5, lambda: (photos / "c.png").touch()).start()
    found = next(results)
    assert (found.path, found.status) == (photos / "c.png", "moved")
    Timer(0.5, (photos / "a.png").unlink).start()
    found = next(results)
    assert (found.path, found.status) == (photos / "a.png", "removed")
    stop.set()
    assert list(results) == []
    assert len(gallery) == 2
    end.cancel()


@pytest.mark.parametrize("poll", [0.2, None])
def test_photos_created_during_the_first_pass_are_registered(
    gallery: Gallery, photos: Path, poll: float | None
) -> None:
    """A photo that is created after the folder was listed, with no event later, has one result, as all others have."""
    if poll is None:
        pytest.importorskip("watchfiles", reason="events need watchfiles")
    for number in (1, 2):
        write_photo(photos / f"{number}.png", one_face(number))
    stop = Event()
    timer = Timer(20, stop.set)
    timer.start()
    results = gallery.watch(photos, names_from="none", poll=poll, stop=stop)
    found = [next(results)]
    write_photo(photos / "new/3.png", one_face(3))  # the pass is not over
    found += [next(results), next(results)]
    assert [(result.path.name, result.status) for result in found] == [
        ("1.png", "added"),
        ("2.png", "added"),
        ("3.png", "added"),
    ]
    timer.cancel()
    Timer(1.5, stop.set).start()
    assert list(results) == []  # nothing twice


@pytest.mark.parametrize("poll", [0.2, None])
def test_a_folder_that_is_gone_is_reported_once_and_watched_again(
    gallery: Gallery, photos: Path, tmp_path: Path, poll: float | None
) -> None:
    """Its photos are not reported as removed; when it returns only new photos have results."""
    if poll is None:
        pytest.importorskip("watchfiles", reason="events need watchfiles")
    other = tmp_path / "other"
    write_photo(photos / "a.png", one_face(1))
    write_photo(other / "b.png", one_face(2))
    stop = Event()
    timer = Timer(60, stop.set)
    timer.start()
    results = gallery.watch([photos, other], names_from="none", poll=poll, stop=stop)
    assert [next(results).status, next(results).status] == ["added", "added"]
    away = tmp_path / "away"
    Timer(0.5, lambda: photos.rename(away)).start()
    found = next(results)
    assert (found.path, found.status, found.missing) == (photos, "unreadable", True)
    Timer(0.5, lambda: write_photo(other / "c.png", one_face(3))).start()
    assert next(results).path == other / "c.png"
    write_photo(away / "d.png", one_face(4))
    Timer(0.5, lambda: away.rename(photos)).start()
    assert (found := next(results)).path == photos / "d.png", found
    Timer(0.5, lambda: write_photo(photos / "e.png", one_face(5))).start()
    assert next(results).path == photos / "e.png"
    stop.set()
    assert list(results) == []
    timer.cancel()


def test_a_folder_that_goes_during_a_pass_is_reported_once(photos: Path, tmp_path: Path) -> None:
    """What a registration says of the files that it does not find any more is left out."""

    class Slow:
        """A gallery whose registration finds the folder gone."""

        def iter_register(self, paths: Path, /, *, names_from: NamesFrom, stop: Event | None) -> Iterator[PhotoResult]:
            """Move the folder away, as a drive that is disconnected."""
            paths.rename(tmp_path / "away")
            for path in (paths, paths / "a.png"):
                yield PhotoResult(path, "unreadable", message="no such file", missing=True)

    photos.mkdir(exist_ok=True)
    stop = Event()
    results = watch_folders(Slow(), [photos], poll=0.01, stop=stop)
    found = next(results)
    assert (found.path, found.message) == (photos, "the folder is gone; it is watched again when it returns")
    Timer(0.1, stop.set).start()
    assert list(results) == []


def test_the_only_folder_may_return(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    """While no folder is there, watching waits."""
    pytest.importorskip("watchfiles", reason="events need watchfiles")
    write_photo(photos / "a.png", one_face(1))
    stop = Event()
    timer = Timer(60, stop.set)
    timer.start()
    results = gallery.watch(photos, names_from="none", stop=stop)
    assert next(results).status == "added"
    Timer(0.5, lambda: photos.rename(tmp_path / "away")).start()
    assert next(results).path == photos
    Timer(1.5, lambda: write_photo(photos / "b.png", one_face(2))).start()
    assert next(results).path == photos / "b.png"
    stop.set()
    assert list(results) == []
    timer.cancel()


def test_a_system_that_cannot_watch_says_so(gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the system is one line with what to do."""
    watchfiles = pytest.importorskip("watchfiles", reason="events need watchfiles")

    def refuse(*paths: Path, **options: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    with pytest.raises(FaceallError, match="watch limit reached; use --poll SECONDS"):
        next(gallery.watch(photos))


def test_only_folders_are_watched(gallery: Gallery, photos: Path) -> None:
    """A file or a missing path is refused with what to do."""
    with pytest.raises(FaceallError, match="register takes files"):
        next(gallery.watch(photos / "none"))
