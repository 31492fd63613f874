"""Properties of a gallery in Milvus beyond the common tests, on milvus-lite or on a server if there is one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import WholeEmbedder, open_whole, read_parts
from milvus_places import SERVER, empty_place
from stand_ins import ColourDetector, ColourEmbedder, one_face, write_photo

from faceall.errors import (
    FaceallError,
    IndexBusyError,
    IndexFileError,
    IndexMismatchError,
    IndexNewerError,
    MissingDependencyError,
    NotSupportedError,
)
from faceall.gallery import Gallery, MatchThreshold, move_gallery
from faceall.gallery.search import Query, match_faces

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")

from faceall.gallery.milvus import work
from faceall.gallery.milvus.client import is_away
from faceall.gallery.milvus.connection import Connection
from faceall.gallery.milvus.identity import BITS, FaceIds
from faceall.gallery.milvus.layout import PHOTOS

Opener = Callable[..., Gallery]


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Return the address of the test's gallery."""
    return empty_place(tmp_path / "gallery")


@pytest.fixture
def opened(address: str) -> Iterator[Opener]:
    """Return a function that opens the test's gallery, each time with a client of its own."""
    with ExitStack() as stack:

        def open_one(**options: Any) -> Gallery:
            defaults = {"detector": ColourDetector(), "embedder": ColourEmbedder()}
            gallery = Gallery.open(address, **{**defaults, **options})
            stack.callback(gallery.close)
            return gallery

        yield open_one


@pytest.fixture
def photo(photos: Path) -> Path:
    """A photo of Ada, with another face in the background."""
    return write_photo(photos / "Ada" / "1.png", [*one_face(1), (5, 5, 20, (9, 200, 9))])


def rows(gallery: Gallery, collection: str) -> int:
    """Return the number of rows of a collection, including rows that are not valid yet."""
    store = gallery._store
    key = "key" if collection == "notes" else "id"
    return len(store.connection.where(collection, "", [key], limit=1_000, strong=True))  # type: ignore[attr-defined]


class PowerCutError(Exception):
    """Raised in place of a write, to simulate a killed writer."""


def cut_before(monkeypatch: pytest.MonkeyPatch, method: str, collection: str) -> None:
    """Raise `PowerCutError` right before rows are put into a collection, or deleted from it."""
    real = getattr(Connection, method)

    def vanish(self: Connection, name: str, *values: Any) -> None:
        if name == collection and (method == "put" or values[0]):
            raise PowerCutError
        real(self, name, *values)

    monkeypatch.setattr(Connection, method, vanish)


REQUESTS = (
    *("list_collections", "has_collection", "load_collection", "create_collection", "create_index", "drop_collection"),
    *("flush", "compact", "query", "query_iterator", "get", "search", "upsert", "delete"),
)


def test_every_request_has_a_time_limit(
    address: str, opened: Opener, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that stops answering cannot block any request for ever."""
    import pymilvus

    limits: dict[str, set[float | None]] = {}

    def recorded(name: str) -> Callable[..., Any]:
        real = getattr(pymilvus.MilvusClient, name)

        def request(self: Any, *values: Any, **options: Any) -> Any:
            limits.setdefault(name, set()).add(options.get("timeout"))
            return real(self, *values, **options)

        return request

    for name in REQUESTS:
        monkeypatch.setattr(pymilvus.MilvusClient, name, recorded(name))
    for number in range(3):
        write_photo(photos / f"P{number}.png", one_face(number))
    gallery = opened()
    list(gallery.register(photos))
    gallery.search(photos / "P0.png")
    connection: Connection = gallery._store.connection  # type: ignore[attr-defined]
    list(connection.scan("photos", "", ["id"], page=2))
    gallery.photos.remove(gallery.faces.find()[0].photo_id)
    connection.seal(["faces"])
    connection._load_all(connection._live_client())
    connection._index(connection._live_client(), PHOTOS)
    gallery.close()
    move_gallery(address, tmp_path / "moved", remove_source=True)
    assert set(limits) >= set(REQUESTS) - ({"create_collection"} if SERVER else set())
    assert {name for name, found in limits.items() if not all(found)} == set()


@pytest.mark.parametrize("collection", ["thumbnails", "faces", "people", "files", "photos"])
def test_partly_written_photo_is_never_visible(
    opened: Opener, photo: Path, monkeypatch: pytest.MonkeyPatch, collection: str
) -> None:
    """Rows of a killed writer are not visible and are deleted later; registering again adds the photo."""
    with monkeypatch.context() as patch:
        cut_before(patch, "put", collection)
        with pytest.raises(PowerCutError):
            list(opened().register(photo.parent.parent))
    gallery = opened()
    assert (len(gallery), gallery.faces.find(), list(gallery.people)) == (0, [], [])
    assert [result.matches for result in gallery.search(photo)] == [(), ()]
    monkeypatch.setattr(work, "SWEEP_AGE", 0.0)
    gallery = opened()
    assert (rows(gallery, "thumbnails"), rows(gallery, "faces") if gallery.model else 0) == (0, 0)
    assert [(result.status, result.faces) for result in gallery.register(photo.parent.parent)] == [("added", 2)]
    assert (len(gallery), gallery.index.problems()) == (2, [])


@pytest.mark.parametrize("collection", ["files", "faces", "thumbnails", "people"])
def test_interrupted_removal_is_finished(
    opened: Opener, photo: Path, monkeypatch: pytest.MonkeyPatch, collection: str
) -> None:
    """A removed photo is not found from the start of its removal; remaining rows are deleted later."""
    list(opened().register(photo.parent.parent))
    with monkeypatch.context() as patch:
        cut_before(patch, "delete", collection)
        with pytest.raises(PowerCutError):
            opened().photos.remove(photo)
    gallery = opened()
    assert (len(gallery), gallery.faces.find()) == (0, [])
    monkeypatch.setattr(work, "SWEEP_AGE", 0.0)
    gallery = opened()
    assert (rows(gallery, "faces"), rows(gallery, "thumbnails"), rows(gallery, "photos")) == (0, 0, 0)


def at_once(*actions: Callable[[], Any]) -> None:
    """Run actions in threads that start together; raise an error of any of them."""
    barrier, failures = threading.Barrier(len(actions)), []

    def run(action: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_same_photo_from_two_writers_is_one(opened: Opener, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If two writers check before either writes, one row and one set of faces of one person is left."""
    first, second = opened(), opened()
    first._context.require_same_model()
    both = threading.Barrier(2, timeout=30)
    real = work.Work.write

    def together(self: work.Work) -> None:
        if self.new_photos:
            both.wait()
        real(self)

    monkeypatch.setattr(work.Work, "write", together)
    album = photo.parent.parent  # a folder given directly with one photo names no one
    at_once(lambda: list(first.register(album)), lambda: list(second.register(album)))
    for gallery in (first, second):
        status = gallery.status()
        assert (status.photos, status.faces, status.people) == (1, 2, 1)
        assert gallery.index.problems() == []
    assert (rows(first, "faces"), rows(first, "thumbnails")) == (2, 2)


def test_writer_that_finishes_meanwhile_keeps_its_faces(
    opened: Opener, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another writer finishes the same photo during the duplicate check, one set of faces is left."""
    galleries = [opened(), opened()]
    galleries[0]._context.require_same_model()
    begun = threading.Barrier(2, timeout=60)
    writing, written, dropping, looked, finished = (threading.Event() for _ in range(5))
    real_write, real_put, real_listed, real_drop = (
        work.Work.write, Connection.put, work._listed_faces, work.drop_duplicates,
    )  # fmt: skip

    def is_late(connection: Any) -> bool:
        return bool(connection is galleries[1]._store.connection)  # type: ignore[attr-defined]

    def write(self: work.Work) -> None:
        if self.new_photos:
            begun.wait()
            if is_late(self._connection):
                writing.set()
        real_write(self)

    def put(self: Connection, name: str, *values: Any) -> None:
        if is_late(self) and name == "photos" and writing.is_set() and not written.is_set():
            written.set()
            assert looked.wait(60)
        real_put(self, name, *values)

    def listed_faces(*arguments: Any, **options: Any) -> set[int]:
        found = real_listed(*arguments, **options)
        if not is_late(arguments[0]) and dropping.is_set() and not looked.is_set():
            looked.set()
            assert finished.wait(60)
        return found

    def drop(*arguments: Any) -> set[int]:
        if is_late(arguments[0]):
            finished.set()
        else:
            assert written.wait(60)
            dropping.set()
        return real_drop(*arguments)

    monkeypatch.setattr(work.Work, "write", write)
    monkeypatch.setattr(Connection, "put", put)
    monkeypatch.setattr(work, "_listed_faces", listed_faces)
    monkeypatch.setattr(work, "drop_duplicates", drop)
    late = threading.Thread(target=lambda: list(galleries[1].register(photo.parent.parent)))
    late.start()
    list(galleries[0].register(photo.parent.parent))
    late.join()
    assert (galleries[0].status().faces, galleries[0].index.problems()) == (2, [])
    assert (rows(galleries[0], "faces"), rows(galleries[0], "thumbnails")) == (2, 2)


def test_same_person_from_two_writers_is_one(opened: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photos of a new person that two writers register at the same moment create one person."""
    paths = [write_photo(photos / str(number) / "Ada" / f"{number}.png", one_face(number)) for number in (1, 2)]
    galleries = [opened(), opened()]
    galleries[0]._context.require_same_model()
    both, real = threading.Barrier(2, timeout=30), work.Work.write

    def together(self: work.Work) -> None:
        if self.new_photos:
            both.wait()
        real(self)

    monkeypatch.setattr(work.Work, "write", together)
    at_once(
        *[
            lambda gallery=gallery, path=path: list(gallery.register(path.parent.parent))
            for gallery, path in zip(galleries, paths, strict=True)
        ]
    )
    assert [(person.name, person.faces) for person in galleries[0].people] == [("Ada", 2)]
    assert rows(galleries[0], "people") == 1


def test_person_whom_another_writer_adds_meanwhile_is_found(
    opened: Opener, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who is added between the look-up by id and the one by name is used, and not added again."""
    first, second = opened(), opened()
    first._context.require_same_model()
    real, added = Connection.where, threading.Event()

    def where(self: Connection, name: str, *values: Any, **options: Any) -> Any:
        if name == "people" and not added.is_set():
            added.set()
            with second._store.changing():
                second._store.people.make("Ada")
        return real(self, name, *values, **options)

    monkeypatch.setattr(Connection, "where", where)
    list(first.register(photo.parent.parent))
    assert added.is_set()
    assert [person.name for person in first.people] == ["Ada"]
    assert first.index.problems() == []


def test_ids_of_many_writers_differ(opened: Opener) -> None:
    """Writers that start together get separate blocks of ids; ids are exact in a double and ascending."""
    connection = opened()._store.connection  # type: ignore[attr-defined]
    taken: list[list[int]] = []
    at_once(*[lambda: taken.append(FaceIds(connection).take(5)) for _ in range(8)])
    ids = [id_ for some in taken for id_ in some]
    assert len(set(ids)) == 40
    assert max(ids) < 1 << BITS
    assert all(float(id_) == id_ for id_ in ids)
    assert all(some == sorted(some) for some in taken)


def test_reported_face_is_found_by_the_next_search_of_another_client(opened: Opener, photos: Path) -> None:
    """A face is visible to every other client as soon as its result is returned."""
    writer, reader = opened(), opened()
    writer._context.require_same_model()
    for number in range(5):
        path = write_photo(photos / f"P{number}" / "1.png", one_face(number))
        (result,) = writer.register(path, person="Ada")
        assert result.status == "added"
        assert reader.search(path, k=1)[0].matches[0].path == path


def test_search_skips_faces_of_a_killed_writer(opened: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """k faces are found even if fifty faces of a killed writer are nearer."""
    gallery = opened()
    near = [write_photo(photos / "Eve" / f"{number}.png", one_face(number)) for number in range(50)]
    far = [write_photo(photos / "Bob" / f"{number}.png", one_face(number + 125)) for number in range(4)]
    list(gallery.register(far))
    with monkeypatch.context() as patch:
        patch.setattr("faceall.gallery.registration.registration.COMMIT_SECONDS", 600.0)  # all photos in one change
        cut_before(patch, "put", "photos")
        with pytest.raises(PowerCutError):
            list(opened().register(near))
    assert rows(gallery, "faces") == 54
    (result,) = gallery.search(near[0], k=4)
    assert {match.path for match in result.matches} == set(far)
    assert len(gallery) == 4


def test_search_takes_few_requests(opened: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All faces of a query take four requests in two steps, and the templates of the nearest people three more."""
    for name, red in (("Ada", 200), ("Bob", 40)):
        for number in range(3):
            write_photo(photos / name / f"{number}.png", [(40, 25, 40, (red + number, 9, 9)), (5, 5, 20, (9, red, 9))])
    gallery = opened()
    list(gallery.register(photos, names_from="folders"))
    query = photos / "Ada" / "0.png"
    gallery.search(query)  # the first read of each collection waits for all writes
    asked: Counter[str] = Counter()
    real = Connection._read

    def read(self: Connection, name: str, *values: Any, **options: Any) -> Any:
        asked[name] += 1
        return real(self, name, *values, **options)

    monkeypatch.setattr(Connection, "_read", read)
    assert len(gallery.search(query, threshold=0.5)) == 2
    assert asked == {"faces": 1, "photos": 1, "people": 1, "notes": 1}
    asked.clear()
    threshold = MatchThreshold(0.5, None, "estimate", fpir=0.01)
    found = gallery.analyse(query)
    match_faces(gallery._store, Query(found.image, found.faces.take([0]), found.vectors[:1], threshold), 5, None)
    assert asked == {"faces": 3, "photos": 1, "people": 1, "notes": 2}


@pytest.mark.parametrize("name", ['O\'Hara "Bob" \\n', "Зоя", "人", "50% off_%", "a{b}c", "Ada=1 or 1==1"])
def test_names_and_paths_of_any_letters(opened: Opener, photos: Path, name: str) -> None:
    """Names and paths are passed as data and never interpreted as part of a condition."""
    folder = photos / name
    path = write_photo(folder / f"{name}.png", one_face(3))
    gallery = opened()
    (result,) = gallery.register(photos)
    assert (result.person, next(iter(gallery.people)).name) == (name, name)
    assert gallery.faces.find(person=name)[0].path == path
    assert [found.status for found in gallery.register(photos)] == ["unchanged"]
    assert len(gallery.photos.remove(folder).photos) == 1


def test_paths_that_are_not_utf8(opened: Opener, photos: Path) -> None:
    """A path is stored as bytes, also if it is not valid UTF-8."""
    path = Path(os.fsdecode(os.fsencode(photos) + b"/Ada/\xff\xfe.png"))
    write_photo(path, one_face(3))
    gallery = opened()
    assert [result.status for result in gallery.iter_register(photos)] == ["added"]
    assert gallery.faces.find()[0].path == path
    assert [result.status for result in gallery.iter_register(photos)] == ["unchanged"]


def test_vectors_are_kept_exactly(opened: Opener, photo: Path) -> None:
    """Vectors are stored bit for bit."""
    gallery = opened()
    list(gallery.register(photo.parent.parent))
    _, vectors = gallery._analyser.find(np.asarray(__import__("PIL.Image").Image.open(photo)))
    stored = gallery._store.faces.vectors([face.face_id for face in gallery.faces.find()])
    assert {vector.tobytes() for vector in stored} == {vector.tobytes() for vector in vectors}


def test_removed_face_is_gone_from_every_collection(opened: Opener, photo: Path) -> None:
    """Rows, vector and thumbnail of a removed face are deleted, and no person without faces is left."""
    gallery = opened()
    list(gallery.register(photo.parent.parent))
    removal = gallery.people.remove("Ada")
    assert (len(removal.faces), gallery.index.remaining(removal), removal.receipt) == (1, 0, None)
    gallery.faces.remove(gallery.faces.find()[0].face_id)
    for collection in ("faces", "thumbnails", "photos", "files", "people"):
        assert rows(gallery, collection) == 0, collection


def test_another_model_is_refused(opened: Opener, photo: Path) -> None:
    """Vectors of two models are not mixed; the error names both."""
    list(opened().register(photo.parent.parent))
    other = opened(embedder=ColourEmbedder("shapes", 16))
    with pytest.raises(
        IndexMismatchError, match=r"was made with 'colours .*'shapes.*index move .* FOLDER, there faceall index migrate"
    ):
        list(other.register(write_photo(photo.with_name("2.png"), one_face(2))))


def test_gallery_of_a_newer_faceall_is_refused(opened: Opener, address: str) -> None:
    """A gallery of a newer faceall is reported as newer, not as damaged."""
    store = opened()._store
    store._write_head({**store._head, "format": 99})  # type: ignore[attr-defined]
    with pytest.raises(IndexNewerError, match=r"newer faceall \(format 99"):
        Gallery.open(address)


def test_missing_gallery_is_not_created_by_a_reader(address: str) -> None:
    """Opening a missing gallery for reading is an error and creates nothing."""
    with pytest.raises(IndexFileError, match="no gallery yet"):
        Gallery.open(address, read_only=True)
    assert not Path(address.removeprefix("milvus-lite://")).exists()


def test_reader_cannot_write(opened: Opener, photo: Path) -> None:
    """A gallery opened for reading refuses changes with one line."""
    list(opened().register(photo.parent.parent))
    with pytest.raises(IndexFileError, match="opened for reading only"):
        opened(read_only=True).people.rename("Ada", "Eve")


def test_unreachable_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable server gives one line with what to check and without the password."""
    monkeypatch.setattr("faceall.gallery.milvus.client.CONNECT_TIMEOUT", 1.0)
    with pytest.raises(IndexFileError, match="no server answers there") as found:
        Gallery.open("milvus://ada:s3cr3t@127.0.0.1:9/faces")
    assert "s3cr3t" not in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("code", "message", "away"),
    [
        (2, "service unavailable", True),
        (65535, "empty grpc client: find no available rootcoord, check rootcoord state", True),
        (65535, "attempt #0: rpc error: code = DeadlineExceeded desc = context deadline exceeded", True),
        (65535, "the length of the text exceeds the limit", False),
        (65535, "find no available rootcoord: auth check failure", False),
    ],
)
def test_requests_are_repeated_if_a_part_of_the_server_is_away(code: int, message: str, away: bool) -> None:
    """A server whose parts lost each other, as an overloaded one does, is waited for; other errors are reported."""
    from pymilvus.exceptions import MilvusException

    assert is_away(MilvusException(code, message)) is away


def test_missing_client_names_the_extra(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """If pymilvus is missing, the error says how to install it."""
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'faceall\[milvus\]'"):
        Gallery.open(address)


@pytest.mark.skipif(bool(SERVER), reason="a server has any number of clients")
def test_second_process_gets_a_clear_error(opened: Opener, address: str) -> None:
    """milvus-lite serves one process; a second one gets one line."""
    opened()
    program = f"from faceall.gallery import Gallery; Gallery.open({address!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert IndexBusyError.__name__ in run.stderr.splitlines()[-1]
    assert "another process has it open" in run.stderr.splitlines()[-1]


def test_file_in_place_of_a_database_is_not_called_busy(tmp_path: Path) -> None:
    """A file that is not a database is kept, and the error says what is wrong with it."""
    (tmp_path / "notes.db").write_text("mine")
    with pytest.raises(IndexFileError, match="it is a file; milvus-lite stores a gallery in a folder"):
        Gallery.open(f"milvus-lite://{tmp_path}/notes.db")
    assert (tmp_path / "notes.db").read_text() == "mine"


def test_place_that_cannot_be_written_to_is_not_called_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing write permission is named in one line."""
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "a.db").write_text("keeps milvus-lite out for root, too")
    monkeypatch.setattr("faceall.gallery.milvus.client.os.access", lambda path, mode: False)
    with pytest.raises(IndexFileError, match="needs permission to write there") as found:
        Gallery.open(f"milvus-lite://{closed}/a.db")
    assert not isinstance(found.value, IndexBusyError)


@pytest.mark.parametrize("action", ["compact", "backup", "migrate"])
def test_operations_that_need_a_folder_are_refused(opened: Opener, tmp_path: Path, action: str) -> None:
    """The error names the command that moves the gallery to a folder."""
    gallery = opened()
    values = {"compact": (), "migrate": (ColourEmbedder("other"),)}.get(action, (tmp_path / "out",))
    with pytest.raises(FaceallError, match="faceall index move milvus"):
        getattr(gallery.index, action)(*values)


def bundle_of(gallery: Gallery, path: Path, **options: Any) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """Export a gallery; return the bundle, its people by name, and its faces by id."""
    gallery.index.export_bundle(path, replace=True, **options)
    parts = read_parts(path)
    people = {person["name"]: person for person in json.loads(parts["people.json"])}
    return path.read_bytes(), people, {face["id"]: face for face in json.loads(parts["faces.json"])}


def test_bundles_of_a_gallery_have_lasting_ids(opened: Opener, photos: Path, tmp_path: Path) -> None:
    """An unchanged gallery gives the same bundle; ids stay when people and faces change, and times advance."""
    for name, number in (("Ada", 1), ("Ada", 2), ("Bob", 100)):
        write_photo(photos / name / f"{number}.png", one_face(number))
    gallery = opened(embedder=WholeEmbedder())
    list(gallery.register(photos, names_from="folders"))
    before, people, faces = bundle_of(gallery, tmp_path / "one.faceall")
    assert bundle_of(gallery, tmp_path / "two.faceall")[0] == before
    assert (len(people), len(faces)) == (2, 3)
    gallery.people.rename("Ada", "Augusta")
    gallery.faces.assign(gallery.faces.find(person="Bob")[0].face_id, "Eve")
    _, renamed, changed = bundle_of(gallery, tmp_path / "two.faceall")
    assert renamed["Augusta"]["id"] == people["Ada"]["id"]
    assert renamed["Augusta"]["changed"] > people["Ada"]["changed"]
    assert changed.keys() == faces.keys()
    moved = [face for face in faces if changed[face]["person"] == renamed["Eve"]["id"]]
    assert [changed[face]["changed"] >= faces[face]["changed"] for face in moved] == [True]
    assert len(bundle_of(gallery, tmp_path / "two.faceall", people=["Augusta"])[2]) == 2
    with open_whole(tmp_path / "other") as other:
        assert other.index.import_bundle(tmp_path / "one.faceall").added == 3
        assert sorted((one.name, one.faces) for one in other.people) == [("Ada", 2), ("Bob", 1)]


_REFUSED: dict[str, Callable[[Gallery], object]] = {
    "bin": lambda gallery: gallery.people.discard("Ada"),
    "hidden people": lambda gallery: gallery.people.hide(["Ada"]),
    "details": lambda gallery: gallery.people.set_details("Ada", note="met in 1833"),
    "hidden faces": lambda gallery: gallery.faces.hide([face.face_id for face in gallery.faces]),
}


def test_what_milvus_does_not_keep_is_refused(opened: Opener, photo: Path) -> None:
    """The bin, hidden people and faces, and details are refused with the command that moves the gallery; all stays."""
    gallery = opened()
    list(gallery.register(photo.parent.parent))
    for name, action in _REFUSED.items():
        with pytest.raises(NotSupportedError, match="faceall index move milvus") as found:
            action(gallery)
        assert "\n" not in str(found.value), name
    assert (len(gallery), gallery.people.history().total, gallery.people.get("Ada").faces) == (2, 0, 1)


def test_files_besides_the_database_have_a_folder(
    opened: Opener, photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each gallery has its own folder in the user's data, and uploads in it are removed with their photo."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    gallery = opened()
    assert gallery.folder.is_dir()
    assert tmp_path / "data" in gallery.folder.parents
    upload = gallery.folder / "uploads" / hashlib.sha256(photo.read_bytes()).hexdigest() / "1.png"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(photo.read_bytes())
    list(gallery.register([upload]))
    gallery.photos.remove(upload)
    assert not upload.parent.exists()


def test_verify_measures_recall(opened: Opener, photos: Path) -> None:
    """An intact gallery passes; one that lost a thumbnail fails."""
    for number in range(20):
        write_photo(photos / f"P{number}" / "1.png", one_face(7 * number))
    gallery = opened()
    list(gallery.register(photos))
    found = gallery.index.verify()
    assert (found.problems, found.vectors, found.recall) == ((), 20, 1.0)
    gallery._store.connection.delete("thumbnails", [gallery.faces.find()[0].face_id])  # type: ignore[attr-defined]
    assert gallery.index.problems() == ["1 faces without a thumbnail"]
