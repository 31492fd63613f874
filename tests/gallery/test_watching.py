"""Watched folders: new, moved and removed photos."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import pytest
from stand_ins import one_face, write_photo

from faceall.errors import FaceallError
from faceall.gallery import Gallery, NamesFrom, PhotoResult, StoredPhoto
from faceall.gallery.registration.watching import watch_folders


class OnePass(Event):
    """Ends watching when it waits for the next pass."""

    def wait(self, timeout: float | None = None) -> bool:
        """Set itself."""
        self.set()
        return True


def one_pass(gallery: Gallery, *folders: Path) -> list[tuple[Path, str]]:
    """Watch folders for one pass, as a new start does; return the paths and statuses that are reported."""
    results = gallery.watch(folders, names_from="none", poll=1, stop=OnePass())
    return [(result.path, result.status) for result in results]


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

        def photos_without_file(self, folder: Path) -> list[StoredPhoto]:
            """Return a photo, as the folder is gone."""
            return [StoredPhoto(1, (folder / "a.png",), None, None, ())]

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


def test_photos_deleted_before_the_start_are_reported(gallery: Gallery, photos: Path) -> None:
    """They keep their faces, and are reported at each start until they return or are removed from the gallery."""
    for name, number in (("Ada/0.png", 1), ("Ada/1.png", 2), ("Eve/0.png", 3), ("Eve/1.png", 4)):
        write_photo(photos / name, one_face(number))
    shutil.copy2(photos / "Eve/1.png", photos / "copy.png")
    assert len(one_pass(gallery, photos)) == 5
    content = (photos / "Ada/0.png").read_bytes()
    for name in ("Ada/0.png", "Eve/0.png", "copy.png"):  # the photo of the copy is still there
        (photos / name).unlink()
    gone = [(photos / name, "removed") for name in ("Ada/0.png", "Eve/0.png")]
    assert one_pass(gallery, photos) == one_pass(gallery, photos) == gone
    assert one_pass(gallery, photos / "Ada", photos) == gone  # once, of folders in one another
    assert one_pass(gallery, photos / "Ada") == gone[:1]
    assert len(gallery) == 4
    (photos / "Ada/0.png").write_bytes(content)
    gallery.photos.remove_missing(photos / "Eve")
    assert one_pass(gallery, photos) == []


def test_photos_moved_before_the_start_are_recognised(gallery: Gallery, photos: Path, tmp_path: Path) -> None:
    """They have the status "moved" also in another watched folder, no path is reported as removed, and names stay."""
    other = tmp_path / "zoo"
    other.mkdir()
    for name, number in (("Ada/0.png", 1), ("Eve/0.png", 2), ("Eve/1.png", 3)):
        write_photo(photos / name, one_face(number))
    write_photo(other / "pond/z.png", one_face(4))
    gallery.register([photos, other], names_from="folders")
    (photos / "Ada").rename(photos / "moved")
    (photos / "Eve/0.png").rename(other / "pond/0.png")
    assert one_pass(gallery, photos, other) == [(photos / "moved/0.png", "moved"), (other / "pond/0.png", "moved")]
    assert {person.name: person.faces for person in gallery.people} == {"Ada": 1, "Eve": 2, "pond": 1}
    assert one_pass(gallery, photos, other) == []


def test_photos_moved_to_a_folder_that_is_watched_too_are_not_removed(
    gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    """Also while watching, what is not found in one folder is looked for in the others first."""
    write_photo(photos / "a.png", one_face(1))
    (tmp_path / "zoo").mkdir()
    stop = Event()
    results = gallery.watch([photos, tmp_path / "zoo"], names_from="none", poll=0.01, stop=stop)
    assert next(results).status == "added"
    (photos / "a.png").rename(tmp_path / "zoo/a.png")  # the pass over the second folder is still to come
    found = [next(results)]
    Timer(0.2, stop.set).start()
    found += results
    assert [(result.path, result.status) for result in found] == [(tmp_path / "zoo/a.png", "moved")]


def test_a_drive_that_is_not_connected_at_the_start_has_no_removed_photos(gallery: Gallery, photos: Path) -> None:
    """A folder that is empty, as a mount point without its drive is, is reported instead of the photos it had."""
    for name, number in (("drive/0.png", 1), ("drive/deep/1.png", 2), ("Eve/0.png", 3), ("Eve/1.png", 4)):
        write_photo(photos / name, one_face(number))
    one_pass(gallery, photos)
    shutil.rmtree(photos / "drive")
    (photos / "drive").mkdir()
    (photos / "Eve/1.png").unlink()
    assert one_pass(gallery, photos) == [(photos / "drive", "unreadable"), (photos / "Eve/1.png", "removed")]
    (found,) = gallery.watch(photos / "drive", poll=1, stop=OnePass())
    assert (found.path, found.missing) == (photos / "drive", True)
    assert found.message is not None
    assert found.message.startswith("is empty; is the drive connected?")
    assert len(gallery) == 4


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
