"""Results of registering photos, once and repeatedly."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from PIL import Image as PillowImage
from stand_ins import ColourDetector, ColourEmbedder, one_face, paint, write_photo

from faceall.errors import IndexMismatchError
from faceall.gallery import Gallery, PhotoResult
from faceall.gallery.registration.batch_analysis import BatchAnalyzer
from faceall.gallery.registration.commits import Commits
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.images import DecodedImage

Opener = Callable[..., Gallery]


def outcome(results: Iterable[PhotoResult]) -> dict[str, str]:
    """Return file name -> status."""
    return {result.path.name: result.status for result in results}


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit after every file, before the next one is stored."""
    settings = {"registration.COMMIT_FILES": 1, "batch_analysis.DETECT_FILES": 1, "registration.FLUSH_SECONDS": 0}
    for name, value in settings.items():
        monkeypatch.setattr(f"faceall.gallery.registration.{name}", value)
    waiting = functools.partial(Commits, background=False)
    monkeypatch.setattr("faceall.gallery.registration.registration.Commits", lambda store, **_: waiting(store))


@pytest.fixture
def ada(photos: Path) -> Path:
    """A photo of Ada with one face."""
    return write_photo(photos / "Ada" / "1.png", one_face(1))


def plain(results: Iterable[PhotoResult]) -> list[PhotoResult]:
    """Return the results without the quality notes that all squares of one colour get."""
    return [replace(result, notes=()) for result in results]


def test_new_photo_is_added(gallery: Gallery, ada: Path, photos: Path) -> None:
    """A new photo is added with its face under the name of its folder."""
    assert plain(gallery.register(photos)) == [PhotoResult(ada, "added", 1, "Ada")]
    assert [(face.person, face.path, face.box) for face in gallery.faces.find()] == [("Ada", ada, (40, 25, 80, 65))]


def test_second_run_reads_nothing(open_gallery: Opener, ada: Path, photos: Path) -> None:
    """An unchanged file is neither decoded nor hashed, and may be unreadable."""
    list(open_gallery().register(photos))
    detector = ColourDetector()
    size, times = ada.stat().st_size, (ada.stat().st_atime_ns, ada.stat().st_mtime_ns)
    ada.write_bytes(b"\0" * size)
    os.utime(ada, ns=times)
    assert list(open_gallery(detector=detector).register(photos)) == [PhotoResult(ada, "unchanged", 1, "Ada")]
    assert detector.seen == 0


def test_touched_file_is_unchanged(open_gallery: Opener, ada: Path, photos: Path) -> None:
    """A file with a new time and the same content is hashed once, and not read in the next run."""
    list(open_gallery().register(photos))
    os.utime(ada, ns=(1, 1))
    detector = ColourDetector()
    gallery = open_gallery(detector=detector)
    assert outcome(gallery.register(photos)) == {"1.png": "unchanged"}
    ada.write_bytes(ada.read_bytes()[::-1])
    os.utime(ada, ns=(1, 1))
    assert outcome(gallery.register(photos)) == {"1.png": "unchanged"}
    assert detector.seen == 0


def test_changed_file_is_analysed_again(gallery: Gallery, ada: Path, photos: Path) -> None:
    """New content under a known path replaces the faces, vectors and thumbnails."""
    list(gallery.register(photos))
    (before,) = gallery.faces.find()
    write_photo(ada, [*one_face(2), (5, 5, 20, (9, 9, 9))])
    assert outcome(gallery.register(photos)) == {"1.png": "changed"}
    assert before.face_id not in {face.face_id for face in gallery.faces.find()}
    assert (len(gallery), gallery.status().photos, gallery.index.problems()) == (2, 1, [])


def test_moved_file_is_recognised(open_gallery: Opener, ada: Path, photos: Path) -> None:
    """A moved file keeps its faces under the new path; a folder of another person renames it."""
    list(open_gallery().register(photos))
    target = photos / "Eve" / "7.png"
    target.parent.mkdir()
    ada.rename(target)
    detector = ColourDetector()
    gallery = open_gallery(detector=detector)
    assert list(gallery.register(photos)) == [PhotoResult(target, "moved", 1, "Eve", f"was {ada}", moved_from=ada)]
    assert detector.seen == 0
    assert [(face.person, face.path) for face in gallery.faces.find()] == [("Eve", target)]
    assert gallery.status().vanished == 0


def test_move_does_not_undo_a_renaming(gallery: Gallery, ada: Path, photos: Path) -> None:
    """A person renamed by the user keeps that name when the file moves."""
    list(gallery.register(photos))
    gallery.people.rename("Ada", "Lady Lovelace")
    ada.rename(ada.with_name("2.png"))
    (result,) = gallery.register(photos)
    assert (result.status, result.person) == ("moved", "Lady Lovelace")


def test_duplicate_is_stored_once(gallery: Gallery, ada: Path, photos: Path) -> None:
    """The same content under a second path adds no face; the result names the first path."""
    shutil.copy(ada, photos / "Ada" / "2.png")
    first, second = gallery.register(photos)
    assert (first.status, second.status) == ("added", "duplicate")
    assert second.message == f"the same image as {ada}"
    assert (len(gallery), gallery.status().photos, gallery.status().files) == (1, 1, 2)
    assert outcome(gallery.register(photos)) == {"1.png": "unchanged", "2.png": "unchanged"}


def test_swapped_files_keep_both(gallery: Gallery, ada: Path, photos: Path) -> None:
    """Two files that exchange their contents remain two photos with the correct paths."""
    other = write_photo(photos / "Ada" / "2.png", one_face(2))
    list(gallery.register(photos))
    first, second = ada.read_bytes(), other.read_bytes()
    ada.write_bytes(second)
    other.write_bytes(first)
    for path in (ada, other):
        os.utime(path, ns=(7, 7))
    list(gallery.register(photos))
    assert len(gallery) == 2
    for path in (ada, other):
        ((match,),) = [result.matches for result in gallery.search(path, k=1)]
        assert (match.path, round(match.distance, 5)) == (path, 0)
    assert gallery.index.problems() == []


@pytest.fixture
def renumbered(gallery: Gallery, ada: Path, photos: Path) -> dict[str, int]:
    """Names of two photos and their face ids; the files were renumbered to insert a new first photo."""
    second = write_photo(photos / "Ada" / "2.png", one_face(2))
    list(gallery.register(photos))
    named = dict(zip(("Grandma", "Grandpa"), (face.face_id for face in gallery.faces.find()), strict=True))
    for name, face in named.items():
        gallery.faces.assign(face, name)
    second.rename(photos / "Ada" / "3.png")
    ada.rename(second)
    write_photo(ada, one_face(9))
    return named


def test_renumbered_files_keep_their_faces(gallery: Gallery, photos: Path, renumbered: dict[str, int]) -> None:
    """Renumbered files keep the names and face ids of their photos."""
    assert outcome(gallery.register(photos)) == {"1.png": "changed", "2.png": "moved", "3.png": "moved"}
    assert {face.person: (face.face_id, face.path.name) for face in gallery.faces.find() if face.person != "Ada"} == {
        "Grandma": (renumbered["Grandma"], "2.png"),
        "Grandpa": (renumbered["Grandpa"], "3.png"),
    }
    assert (gallery.status().files, gallery.index.problems()) == (3, [])


def test_displaced_photo_is_still_found(
    gallery: Gallery, photos: Path, renumbered: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Until its new file is registered, a photo is found under its old path, also after an interruption."""
    one_by_one(monkeypatch)
    registration = gallery.iter_register(photos)
    assert next(registration).status == "changed"
    registration.close()
    (face,) = gallery.faces.find(person="Grandma")
    assert (face.face_id, face.path) == (renumbered["Grandma"], photos / "Ada" / "1.png")
    (result,) = gallery.search(write_photo(tmp_path / "query.png", one_face(1)), k=1)
    assert result.matches[0].person == "Grandma"
    assert gallery.index.problems() == []
    list(gallery.register(photos))
    assert {face.person for face in gallery.faces.find()} == {"Ada", "Grandma", "Grandpa"}
    assert gallery.index.problems() == []


def test_displaced_photo_is_restored(
    gallery: Gallery, ada: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an interrupted run, a photo whose file has its old content again keeps its face."""
    one_by_one(monkeypatch)
    list(gallery.register(photos))
    (before,) = gallery.faces.find()
    content = ada.read_bytes()
    write_photo(ada, one_face(2))
    write_photo(photos / "Ada" / "2.png", one_face(3))
    registration = gallery.iter_register(photos)
    assert next(registration).status == "changed"
    registration.close()
    ada.write_bytes(content)
    assert outcome(gallery.register(ada)) == {"1.png": "unchanged"}
    assert [face.face_id for face in gallery.faces.find(path=ada)] == [before.face_id]
    assert (gallery.status().files, gallery.index.problems()) == (1, [])


def test_file_that_changes_during_registration(
    gallery: Gallery, ada: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo may be removed, and its file get other known content, between reading and storing."""
    eve = write_photo(photos / "Eve" / "1.png", one_face(2))
    list(gallery.register(photos))
    (kept,) = gallery.faces.find(path=eve)
    os.utime(ada, ns=(1, 1))
    analyse_all = BatchAnalyzer.analyse_all

    def interfere(self: BatchAnalyzer, batches: Iterable[list[ScannedFile]]) -> Iterator[None]:
        (batch,) = batches
        assert [file.known for file in batch] == [True]
        gallery.photos.remove(ada)
        shutil.copy(eve, ada)
        return analyse_all(self, [batch])

    monkeypatch.setattr(BatchAnalyzer, "analyse_all", interfere)
    (result,) = gallery.register(ada)
    assert (result.status, result.message) == ("duplicate", f"the same image as {eve}")
    assert [face.face_id for face in gallery.faces.find()] == [kept.face_id]
    assert gallery.index.problems() == []


def test_vanished_file_stays_searchable(gallery: Gallery, ada: Path, photos: Path, tmp_path: Path) -> None:
    """Faces and thumbnails remain when their file is deleted; the status counts the missing file."""
    query = shutil.copy(ada, tmp_path / "query.png")
    list(gallery.register(photos))
    ada.unlink()
    (result,) = gallery.search(query)
    assert result.matches[0].person == "Ada"
    assert gallery.status().vanished == 1
    assert gallery.faces.thumbnail(result.matches[0].face_id)[:3] == b"\xff\xd8\xff"


def test_primary_face_gets_the_name(gallery: Gallery, photos: Path) -> None:
    """Of several faces the large, central one gets the name; the others are unassigned."""
    squares = [(45, 30, 30, (10, 0, 0)), (0, 0, 32, (0, 20, 0)), (100, 70, 15, (0, 0, 30))]
    path = write_photo(photos / "Ada" / "party.png", squares)
    assert plain(gallery.register(photos)) == [PhotoResult(path, "added", 3, "Ada")]
    assert {face.box[0]: face.person for face in gallery.faces.find()} == {45: "Ada", 0: None, 100: None}


def test_person_option_names_and_reassigns(gallery: Gallery, ada: Path, photos: Path) -> None:
    """--person overrides the path for new and known photos; a person without faces is removed."""
    list(gallery.register(photos))
    other = write_photo(photos / "Ada" / "2.png", one_face(2))
    results = plain(gallery.register(photos, person="Lady Lovelace"))
    assert results == [
        PhotoResult(ada, "reassigned", 1, "Lady Lovelace"),
        PhotoResult(other, "added", 1, "Lady Lovelace"),
    ]
    assert [person.name for person in gallery.people] == ["Lady Lovelace"]
    assert outcome(gallery.register(photos, person="Lady Lovelace")) == {"1.png": "unchanged", "2.png": "unchanged"}


def test_person_option_needs_a_primary_face(open_gallery: Opener, photos: Path) -> None:
    """A photo whose primary face was removed by the user is unchanged and not read again."""
    path = write_photo(photos / "Ada" / "party.png", [*one_face(1), (0, 0, 20, (0, 20, 0))])
    gallery = open_gallery()
    list(gallery.register(photos))
    (primary,) = gallery.faces.find(person="Ada")
    gallery.faces.remove(primary.face_id)
    for _ in range(2):
        assert list(gallery.register(photos, person="Eve")) == [PhotoResult(path, "unchanged", 1, None)]
    os.utime(path, ns=(1, 1))
    assert list(gallery.register(photos, person="Eve")) == [PhotoResult(path, "unchanged", 1, None)]
    assert list(gallery.people) == []


def test_photo_without_a_face_is_analysed_once(open_gallery: Opener, photos: Path) -> None:
    """A photo without faces is reported as such in every run, and analysed only once."""
    path = write_photo(photos / "Ada" / "1.png", [])
    list(open_gallery().register(photos))
    detector = ColourDetector()
    gallery = open_gallery(detector=detector)
    assert list(gallery.register(photos)) == [PhotoResult(path, "no-face")]
    assert list(gallery.register(photos, person="Ada")) == [PhotoResult(path, "no-face")]
    target = path.rename(path.with_name("2.png"))
    assert list(gallery.register(photos)) == [PhotoResult(target, "no-face", message=f"was {path}")]
    assert detector.seen == 0


def test_odd_files_each_get_a_status(gallery: Gallery, photos: Path) -> None:
    """Damaged, empty, missing and unusual files each have one result, in order."""
    (photos / "a-text.jpg").write_text("hello")
    (photos / "b-empty.jpg").write_bytes(b"")
    whole = write_photo(photos / "c-whole.png", one_face(1)).read_bytes()
    (photos / "d-cut.png").write_bytes(whole[: len(whole) // 2])
    PillowImage.new("L", (1, 1)).save(photos / "e-pixel.png")
    PillowImage.new("CMYK", (40, 40)).save(photos / "f-cmyk.jpg")
    PillowImage.new("I;16", (40, 40)).save(photos / "g-deep.png")
    PillowImage.new("LA", (40, 40)).save(photos / "h-gray.png")
    (photos / "i-folder.png").mkdir()
    results = list(gallery.register([photos, photos / "missing.jpg"]))
    assert outcome(results) == {
        "a-text.jpg": "unreadable",
        "b-empty.jpg": "unreadable",
        "c-whole.png": "added",
        "d-cut.png": "unreadable",
        "e-pixel.png": "no-face",
        "f-cmyk.jpg": "added",  # the stand-in detects any uniform colour as a face
        "g-deep.png": "no-face",
        "h-gray.png": "added",
        "missing.jpg": "unreadable",
    }
    for result in results:
        assert (result.message is not None) == (result.status == "unreadable")
        assert "\n" not in (result.message or "")
    assert gallery.status().unreadable == 3  # a missing file is not remembered
    again = list(gallery.register(photos))
    assert [result.status for result in again].count("unreadable") == 3
    assert [result.status for result in again].count("no-face") == 2
    assert [result.status for result in again].count("unchanged") == 3
    assert gallery.index.problems() == []


@pytest.mark.skipif(os.name != "posix", reason="such names exist on POSIX only")
def test_odd_names(gallery: Gallery, photos: Path) -> None:
    """Line breaks, other alphabets and invalid UTF-8 in names are supported."""
    names = [b"Zo\xc3\xab\n\t", "\u4e2d\u6587".encode(), b"caf\xe9", b" 'quoted\" "]
    for number, name in enumerate(names):
        write_photo(Path(os.fsdecode(os.fsencode(photos) + b"/" + name + b"/1.png")), one_face(number))
    results = list(gallery.register(photos))
    assert {result.status for result in results} == {"added"}
    for result in results:
        assert gallery.search(result.path, k=1)[0].matches[0].path == result.path
    assert {result.status for result in gallery.iter_register(photos)} == {"unchanged"}


def test_damaged_file_keeps_its_faces(gallery: Gallery, ada: Path, photos: Path) -> None:
    """A registered photo whose file is damaged later is reported and keeps its faces."""
    list(gallery.register(photos))
    ada.write_bytes(ada.read_bytes()[:50])
    for _ in range(2):
        (result,) = gallery.register(photos)
        assert result.status == "unreadable"
        assert result.message is not None
        assert result.message.endswith("the faces that it showed before are kept")
        assert len(gallery) == 1


def test_unreadable_photo_is_tried_again_by_another_version(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable file is skipped by the same version and read again by another version."""
    (photos / "a.jpg").write_text("hello")
    list(gallery.register(photos))
    monkeypatch.setattr("faceall.gallery.registration.scan.decode_image", lambda *_, **__: pytest.fail("read"))
    list(gallery.register(photos))
    monkeypatch.undo()
    monkeypatch.setattr("faceall.version.__version__", "999")
    monkeypatch.setattr(
        "faceall.gallery.registration.scan.decode_image", lambda content, **_: DecodedImage(paint(one_face(3)))
    )
    assert outcome(gallery.register(photos)) == {"a.jpg": "added"}


def test_results_come_after_their_commit(open_gallery: Opener, photos: Path) -> None:
    """A result is returned only after its photo is visible to another connection."""
    for number in range(40):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    gallery, other = open_gallery(), open_gallery()
    for result in gallery.iter_register(photos):
        assert other.faces.find(path=result.path)


def test_stopping_keeps_reported_photos(open_gallery: Opener, photos: Path) -> None:
    """A stop ends the run early and keeps every reported photo; the next run registers the rest."""
    gallery = open_gallery(detector=ColourDetector(pause=0.01))
    for number in range(200):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    stop = Event()
    results = list(gallery.register(photos, stop=stop, progress=lambda done, total: stop.set()))
    assert 0 < len(results) < 200
    assert len(gallery) == len(results)
    statuses = [result.status for result in gallery.iter_register(photos)]
    assert (statuses.count("unchanged"), statuses.count("added")) == (len(results), 200 - len(results))


def test_closing_keeps_reported_photos(gallery: Gallery, photos: Path) -> None:
    """Closing a registration keeps every reported photo, and the gallery stays usable."""
    for number in range(60):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    registration = gallery.iter_register(photos)
    first = next(registration)
    registration.close()
    assert gallery.faces.find(path=first.path)
    assert gallery.index.problems() == []


def test_progress_counts_every_file(gallery: Gallery, photos: Path) -> None:
    """Progress ends at the number of files, and each file has one result."""
    for number in range(30):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    calls: list[tuple[int, int]] = []
    registration = gallery.iter_register(photos, progress=lambda done, total: calls.append((done, total)))
    assert registration.total == len(list(registration)) == 30
    assert calls[-1] == (30, 30)
    assert calls == sorted(calls)


def test_faces_are_embedded_across_photos(open_gallery: Opener, photos: Path) -> None:
    """Batches contain faces of several photos, and every face has its own vector."""
    for number in range(40):
        write_photo(photos / "Ada" / f"{number}.png", one_face(number))
    embedder = ColourEmbedder()
    gallery = open_gallery(embedder=embedder)
    list(gallery.register(photos))
    assert max(embedder.batches) == 16
    for number in (0, 17, 39):
        (result,) = gallery.search(photos / "Ada" / f"{number}.png", k=1)
        assert result.matches[0].path == photos / "Ada" / f"{number}.png"


def test_other_model_is_refused(open_gallery: Opener, photos: Path, ada: Path) -> None:
    """Registering and searching with another model is refused with the names of both."""
    list(open_gallery().register(photos))
    write_photo(photos / "Ada" / "2.png", one_face(2))
    other = open_gallery(embedder=ColourEmbedder("other"))
    with pytest.raises(IndexMismatchError, match=r"colours.*other"):
        list(other.register(photos))
    with pytest.raises(IndexMismatchError, match=r"colours.*other"):
        other.search(ada)
    assert len(other) == 1


def test_nothing_to_do_needs_no_model(open_gallery: Opener, photos: Path, ada: Path) -> None:
    """Unchanged photos, people and status create no detector and no embedder."""
    list(open_gallery().register(photos))
    bare = open_gallery(detector=None, embedder=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "faceall.detect", None)
        patch.setitem(sys.modules, "faceall.embed", None)
        assert outcome(bare.register(photos)) == {"1.png": "unchanged"}
        assert [person.name for person in bare.people] == ["Ada"]
        assert bare.status().faces == 1
