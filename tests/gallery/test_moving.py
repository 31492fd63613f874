"""A gallery moves between a folder and Milvus: nothing is lost, and what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import FaceallError
from faceall.gallery import Gallery, MatchThreshold, move_gallery
from faceall.gallery.maintenance.move import _Mover, sums_of
from faceall.gallery.opening import open_store

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")

PHOTOS = 12


def opened(place: Path | str) -> Gallery:
    """A gallery on stand-ins."""
    return Gallery.open(place, detector=ColourDetector(), embedder=ColourEmbedder())


@pytest.fixture
def filled(folder: Path, photos: Path) -> Path:
    """A gallery in a folder: people, strangers, a cluster, a correction, duplicates, an unreadable file."""
    for number in range(PHOTOS):
        write_photo(
            photos / f"P{number % 4}" / f"{number}.png", [*one_face(number), (5, 5, 20, (9, 9, 50 + number % 3))]
        )
    (photos / "P1" / "copy.png").write_bytes((photos / "P1" / "1.png").read_bytes())
    (photos / "P1" / "broken.png").write_bytes(b"no picture")
    with opened(folder) as gallery:
        list(gallery.register(photos))
        gallery.people.cluster(threshold=0.001)
        gallery.faces.unassign([gallery.faces.find(person="P2")[0].face_id])
        gallery.people.rename("P3", "Zoë O'Hara")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> str:
    """A place in Milvus."""
    return f"milvus-lite://{tmp_path}/moved.db"


def contents(place: Path | str) -> Iterator[tuple[object, ...]]:
    """All that a user can see of a gallery."""
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


def test_there_and_back(filled: Path, target: str, tmp_path: Path) -> None:
    """Faces, people, files, thumbnails and vectors are the same in Milvus, and again in a new folder."""
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


def test_moved_gallery_goes_on(filled: Path, target: str, photos: Path) -> None:
    """Registering again finds everything unchanged, the calibration and the corrections count, search finds."""
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


def test_interrupted_move_goes_on(filled: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied photos are not copied again; the result is the same."""
    monkeypatch.setattr("faceall.gallery.maintenance.move._BATCH", 2)
    stop = Event()
    first = move_gallery(filled, target, stop=stop, progress=lambda done, total: stop.set() if done >= 4 else None)
    assert (first.finished, first.copied, first.sums) == (False, 4, None)
    second = move_gallery(filled, target)
    assert (second.finished, second.copied, second.there) == (True, PHOTOS - 3, 4)
    assert list(contents(target)) == list(contents(filled))


def test_changes_between_two_runs_are_taken_along(filled: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person renamed, a photo removed and a face reassigned after the first run: the second brings them over."""
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
    """A target that loses a thumbnail on the way is not called finished, and the source stays."""
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
    """A folder and a database go when they are told to, after the comparison."""
    sums = sums_of(open_store(filled, read_only=True))
    moved = move_gallery(filled, target, remove_source=True)
    assert (moved.removed, moved.sums, filled.exists()) == (True, sums, False)
    back = move_gallery(target, filled, remove_source=True)
    assert (back.removed, back.sums) == (True, sums)
    assert not (tmp_path / "moved.db").exists()


def test_finished_move_may_be_repeated(filled: Path, target: str) -> None:
    """To remove the source after a look at the target, say; nothing is copied again."""
    first = move_gallery(filled, target)
    second = move_gallery(filled, target, remove_source=True)
    assert (second.copied, second.there, second.sums, second.removed) == (0, PHOTOS + 1, first.sums, True)
    assert not filled.exists()


def test_source_that_grows_meanwhile_is_not_removed(
    filled: Path, target: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that comes in after the comparison is there afterwards, and the next run takes it along."""
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


def test_who_has_the_removed_source_open_cannot_write_to_it(filled: Path, target: str, photos: Path) -> None:
    """A face that went into a removed file would be lost, although it was reported."""
    late = write_photo(photos / "P9" / "late.png", one_face(9))
    with opened(filled) as gallery:
        move_gallery(filled, target, remove_source=True)
        with pytest.raises(FaceallError, match="removed or replaced while it was open"):
            list(gallery.register(late))


def test_occupied_target_is_refused(filled: Path, target: str, photos: Path, tmp_path: Path) -> None:
    """Another gallery is not overwritten, nor mixed with; nor a half of another move."""
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


def test_missing_source_is_told(tmp_path: Path, target: str) -> None:
    """Nothing is made of nothing, on either side."""
    with pytest.raises(FaceallError, match="no gallery yet"):
        move_gallery(tmp_path / "none", target)
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "moved.db").exists()


def test_move_to_itself_is_refused(filled: Path) -> None:
    """However it is spelt."""
    with pytest.raises(FaceallError, match="to itself"):
        move_gallery(filled, filled / ".." / filled.name)


def test_calibration_moves(filled: Path, target: str) -> None:
    """The threshold that was chosen on the people counts in the new place."""
    from faceall.gallery import Calibration

    with opened(filled) as gallery:
        chosen = Calibration(0.7, (0.6, 0.8), 0.01, None, None, 4, 12, str(gallery.model))
        gallery.calibration = chosen
    move_gallery(filled, target)
    with opened(target) as gallery:
        assert gallery.calibration == chosen
        assert gallery.match_threshold == MatchThreshold(0.7, 0.01, "calibration")


def test_ids_of_bundles_survive(filled: Path, target: str, tmp_path: Path) -> None:
    """A phone that knows people and faces by their lasting ids still does after two moves."""
    with opened(filled) as gallery:
        gallery.index.export_bundle(tmp_path / "one.faceall")
    move_gallery(filled, target)
    move_gallery(target, tmp_path / "back")
    with opened(tmp_path / "back") as gallery:
        gallery.index.export_bundle(tmp_path / "two.faceall")
    assert (tmp_path / "one.faceall").read_bytes() == (tmp_path / "two.faceall").read_bytes()


def test_faces_that_are_aside_move_and_come_back(filled: Path, target: str, photos: Path) -> None:
    """Put aside in the folder, they are found again in Milvus when their photo is registered, with id and person."""
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
