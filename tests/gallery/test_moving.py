"""A gallery moves between a folder and Milvus without loss, and an interrupted move is continued."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import FaceallError, UndoError
from faceall.gallery import Gallery, MatchThreshold, move_gallery
from faceall.gallery.maintenance.move import _Mover, sums_of
from faceall.gallery.opening import open_store
from faceall.gallery.store.transfer import JudgementCopy

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")

PHOTOS = 12


def opened(place: Path | str) -> Gallery:
    """Open a gallery with stand-ins."""
    return Gallery.open(place, detector=ColourDetector(), embedder=ColourEmbedder())


@pytest.fixture
def filled(folder: Path, photos: Path) -> Path:
    """A gallery in a folder: people, unnamed faces, a cluster, a correction, duplicates, an unreadable file."""
    for number in range(PHOTOS):
        write_photo(
            photos / f"P{number % 4}" / f"{number}.png", [*one_face(number), (5, 5, 20, (9, 9, 50 + number % 3))]
        )
    (photos / "P1" / "copy.png").write_bytes((photos / "P1" / "1.png").read_bytes())
    (photos / "P1" / "broken.png").write_bytes(b"not an image")
    with opened(folder) as gallery:
        list(gallery.register(photos))
        gallery.people.cluster(threshold=0.001)
        gallery.faces.unassign([gallery.faces.find(person="P2")[0].face_id])
        gallery.people.rename("P3", "Zoë O'Hara")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> str:
    """Return an empty address in Milvus."""
    return f"milvus-lite://{tmp_path}/moved.db"


def contents(place: Path | str) -> Iterator[tuple[object, ...]]:
    """Return everything that a user can see of a gallery."""
    with opened(place) as gallery:
        for face in gallery.faces.find():
            yield (
                face.face_id,
                face.person,
                face.box,
                face.score,
                face.landmarks,
                face.path,
                gallery.faces.thumbnail(face.face_id),
            )
        yield from ((person.id, person.name, person.faces, person.named) for person in gallery.people)
        status = gallery.status()
        yield (status.photos, status.files, status.unreadable, status.model, status.dimension)
        yield tuple(gallery.index.problems())


def test_round_trip(filled: Path, target: str, tmp_path: Path) -> None:
    """Faces, people, files, thumbnails and vectors are equal in Milvus and in a new folder."""
    before = list(contents(filled))
    there = move_gallery(filled, target)
    assert there.finished
    assert there.sums is not None
    assert (there.copied, there.sums.photos, there.sums.faces) == (PHOTOS + 1, PHOTOS + 1, 2 * PHOTOS)
    assert list(contents(target)) == before
    back = move_gallery(target, tmp_path / "back")
    assert back.sums == there.sums
    assert list(contents(tmp_path / "back")) == before
    assert list(contents(filled)) == before


def test_moved_gallery_works(filled: Path, target: str, photos: Path) -> None:
    """After a move, files are unchanged, calibration and corrections are in force, and searches work."""
    with opened(filled) as gallery:
        refusals = gallery._store.people.rejections()
    move_gallery(filled, target)
    with opened(target) as gallery:
        statuses = {result.status for result in gallery.iter_register(photos)}
        assert statuses <= {"unchanged", "unreadable", "no-face"}
        assert gallery._store.people.rejections() == refusals != {}
        assert gallery.search(photos / "P1" / "1.png")[0].matches[0].person == "P1"
        new = write_photo(photos / "New" / "1.png", one_face(99))
        (result,) = gallery.register(new.parent)
        assert result.status == "added"
        assert len({face.face_id for face in gallery.faces.find()}) == 2 * PHOTOS + 1


def said(place: Path | str) -> JudgementCopy:
    """Return what users said about faces and people."""
    with opened(place) as gallery:
        return gallery._store.transfer.judgements()


def kinds(place: Path | str) -> list[str]:
    """Return the kinds of the changes in the history, ordered."""
    with opened(place) as gallery:
        return sorted(change.kind for change in gallery.people.history().items)


def test_judgements_move_both_ways(filled: Path, target: str, tmp_path: Path) -> None:
    """Refusals, confirmations and people told apart are in force after each move, as users said last."""
    with opened(filled) as gallery:
        face = gallery.faces.find(person="P1")[0].face_id
        gallery.faces.unassign([face])
        gallery.faces.assign(gallery.faces.find(person="P0")[0].face_id, "P1")
        rows = {person.name: person.id for person in gallery.people}
        gallery._store.people.tell_apart(rows["P0"], rows["P1"])
    before = said(filled)
    assert all((before.refused, before.confirmed, before.distinct))
    move_gallery(filled, target)
    assert said(target) == before
    with opened(target) as gallery:
        gallery.faces.assign(face, "P1")
        gallery.faces.unassign([gallery.faces.find(person="P0")[0].face_id])
        gallery._store.people.tell_apart(rows["P0"], rows["P2"])
    after = said(target)
    assert (face, rows["P1"]) in after.confirmed - after.refused
    move_gallery(target, tmp_path / "back")
    assert said(tmp_path / "back") == after
    assert len(after.refused ^ before.refused) == 2


def test_merged_people_keep_what_was_said_of_both(filled: Path, target: str) -> None:
    """A face that is not P1 is not P0 after P1 was merged into P0, in a folder and in Milvus; undo separates them."""
    move_gallery(filled, target)
    for place in (filled, target):
        with opened(place) as gallery:
            face = gallery.faces.find(person="P1")[0].face_id
            gallery.faces.unassign([face])
            p0, p1 = (gallery.people.get(name).id for name in ("P0", "P1"))
            gallery._store.people.tell_apart(p0, p1)
            before = gallery._store.transfer.judgements()
            gallery.people.merge("P1", "P0")
            assert gallery._store.people.rejections([face]) == {face: {p0}}
            assert gallery._store.people.distinct() == set()
            gallery.people.undo()
            assert gallery._store.transfer.judgements() == before


def test_history_moves_both_ways(filled: Path, target: str, tmp_path: Path) -> None:
    """Changes made before a move are listed after it, once; in Milvus only those made there can be undone."""
    before = kinds(filled)
    assert before
    move_gallery(filled, target)
    move_gallery(filled, target)
    assert kinds(target) == before
    with opened(target) as gallery:
        with pytest.raises(UndoError, match="was made elsewhere"):
            gallery.people.undo(gallery.people.history().items[0].id)
        gallery.people.rename("P0", "Zed")
        assert gallery.people.undo().details["undone"] == "rename"
        gallery.people.rename("P0", "Zed")
    move_gallery(target, tmp_path / "back")
    assert kinds(tmp_path / "back") == sorted([*before, "rename", "rename", "undo"])


def test_interrupted_move_is_continued(filled: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run does not copy photos again and gives the same result."""
    monkeypatch.setattr("faceall.gallery.maintenance.move._BATCH", 2)
    stop = Event()
    first = move_gallery(filled, target, stop=stop, progress=lambda done, total: stop.set() if done >= 4 else None)
    assert (first.finished, first.copied, first.sums) == (False, 4, None)
    second = move_gallery(filled, target)
    assert (second.finished, second.copied, second.there) == (True, PHOTOS - 3, 4)
    assert list(contents(target)) == list(contents(filled))


def test_changes_between_two_runs_are_copied(filled: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename, a removed photo and a reassigned face after the first run are copied by the second."""
    monkeypatch.setattr("faceall.gallery.maintenance.move._BATCH", 2)
    stop = Event()
    move_gallery(filled, target, stop=stop, progress=lambda done, total: stop.set() if done >= 8 else None)
    with opened(filled) as gallery:
        gallery.people.rename("P0", "Eve")
        gallery.faces.assign(gallery.faces.find(person="P1")[0].face_id, "Eve")
        gallery.faces.remove(gallery.faces.find(person="P2")[0].face_id)
    assert move_gallery(filled, target).finished
    assert list(contents(target)) == list(contents(filled))


def test_difference_is_found(filled: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the target lost a thumbnail, the move is not finished and the source is kept."""
    from faceall.gallery.milvus.transfer import MilvusTransfer

    real = MilvusTransfer._put

    def careless(self: MilvusTransfer, work: object, photo: object) -> None:
        real(self, work, photo)  # type: ignore[arg-type]
        for key, row in self._store.view().thumbnails.changed.items():
            if row is not None:
                self._store.view().thumbnails.put({**row, "id": key, "jpeg": ""})

    monkeypatch.setattr(MilvusTransfer, "_put", careless)
    with pytest.raises(FaceallError, match=r"differs from .* in thumbnails: .*the source is untouched"):
        move_gallery(filled, target, remove_source=True)
    assert len(list(contents(filled))) > PHOTOS


def test_source_is_removed_only_on_request(filled: Path, target: str, tmp_path: Path) -> None:
    """The folder or database is removed after the comparison, and only on request."""
    sums = sums_of(open_store(filled, read_only=True))
    moved = move_gallery(filled, target, remove_source=True)
    assert (moved.removed, moved.sums, filled.exists()) == (True, sums, False)
    back = move_gallery(target, filled, remove_source=True)
    assert (back.removed, back.sums) == (True, sums)
    assert not (tmp_path / "moved.db").exists()


def test_finished_move_can_be_repeated(filled: Path, target: str) -> None:
    """A repeated move copies nothing again and can remove the source."""
    first = move_gallery(filled, target)
    second = move_gallery(filled, target, remove_source=True)
    assert (second.copied, second.there, second.sums, second.removed) == (0, PHOTOS + 1, first.sums, True)
    assert not filled.exists()


def test_source_that_grows_meanwhile_is_not_removed(
    filled: Path, target: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo added after the comparison keeps the source, and the next run copies the photo."""
    real, late = _Mover._compared, write_photo(photos / "P9" / "late.png", one_face(9))

    def compared_and_overtaken(self: _Mover) -> object:
        sums = real(self)
        monkeypatch.setattr(_Mover, "_compared", real)
        with opened(filled) as gallery:
            assert [result.status for result in gallery.register(late)] == ["added"]
        return sums

    monkeypatch.setattr(_Mover, "_compared", compared_and_overtaken)
    with pytest.raises(FaceallError, match="was it changed"):
        move_gallery(filled, target, remove_source=True)
    before = list(contents(filled))
    assert move_gallery(filled, target, remove_source=True).copied == 1
    assert list(contents(target)) == before


def test_open_gallery_refuses_writes_after_its_removal(filled: Path, target: str, photos: Path) -> None:
    """A gallery whose folder was removed while it was open refuses to register photos."""
    late = write_photo(photos / "P9" / "late.png", one_face(9))
    with opened(filled) as gallery:
        move_gallery(filled, target, remove_source=True)
        with pytest.raises(FaceallError, match="removed or replaced while it was open"):
            list(gallery.register(late))


def test_occupied_target_is_refused(filled: Path, target: str, photos: Path, tmp_path: Path) -> None:
    """Another gallery, or a partial move of another gallery, is neither overwritten nor mixed with the source."""
    with opened(target) as gallery:
        list(gallery.register(photos / "P1"))
        before = len(gallery)
    with pytest.raises(FaceallError, match="holds another gallery already"):
        move_gallery(filled, target)
    with opened(target) as gallery:
        assert len(gallery) == before
    other = tmp_path / "other"
    with opened(other) as gallery:
        list(gallery.register(photos / "P2"))
    half, stop = f"milvus-lite://{tmp_path}/half.db", Event()
    stop.set()
    move_gallery(filled, half, stop=stop)
    with pytest.raises(FaceallError, match="holds a part of"):
        move_gallery(other, half)


def test_missing_source_is_reported(tmp_path: Path, target: str) -> None:
    """A missing source is an error and creates neither source nor target."""
    with pytest.raises(FaceallError, match="no gallery yet"):
        move_gallery(tmp_path / "none", target)
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "moved.db").exists()


def test_move_to_itself_is_refused(filled: Path) -> None:
    """A move to the source is refused in any form of its path."""
    with pytest.raises(FaceallError, match="to itself"):
        move_gallery(filled, filled / ".." / filled.name)


def test_calibration_moves(filled: Path, target: str) -> None:
    """A calibrated threshold is in force in the target."""
    from faceall.gallery import Calibration

    with opened(filled) as gallery:
        chosen = Calibration(0.7, (0.6, 0.8), 0.01, None, None, 4, 12, str(gallery.model))
        gallery.calibration = chosen
    move_gallery(filled, target)
    with opened(target) as gallery:
        assert gallery.calibration == chosen
        assert gallery.match_threshold == MatchThreshold(0.7, 0.01, "calibration")


def test_ids_of_bundles_survive(filled: Path, target: str, tmp_path: Path) -> None:
    """A phone's bundle with people and faces is still recognised after two moves."""
    with opened(filled) as gallery:
        gallery.index.export_bundle(tmp_path / "one.faceall")
    move_gallery(filled, target)
    move_gallery(target, tmp_path / "back")
    with opened(tmp_path / "back") as gallery:
        gallery.index.export_bundle(tmp_path / "two.faceall")
    assert (tmp_path / "one.faceall").read_bytes() == (tmp_path / "two.faceall").read_bytes()


def test_stale_faces_are_moved_and_restored(filled: Path, target: str, photos: Path) -> None:
    """Stale faces are moved to Milvus and restored there with id and person when their photo is registered."""
    path = photos / "P1" / "5.png"
    with opened(filled) as gallery:
        before = {face.face_id: face.person for face in gallery.faces.find(path=path)}
        content = path.read_bytes()
        path.unlink()
        list(gallery.index.migrate(ColourEmbedder("other")))
    move_gallery(filled, target)
    with Gallery.open(target, detector=ColourDetector(), embedder=ColourEmbedder("other")) as gallery:
        assert not set(before) & {face.face_id for face in gallery.faces.find()}
        path.write_bytes(content)
        (result,) = gallery.register([path])
        assert (result.status, result.faces) == ("back", 2)
        assert {face.face_id: face.person for face in gallery.faces.find(path=path)} == before
        assert gallery.index.problems() == []
