"""A gallery is exported as a folder of arrays and JSON, and vectors of other programs are imported."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hnswlib
import numpy as np
import pytest
from bundles import WholeEmbedder, open_whole
from stand_ins import one_face, write_photo

from faceall.analysis.analyser import label_of
from faceall.errors import FaceallError, IndexDamagedError, IndexFileError, IndexMismatchError, IndexNewerError
from faceall.gallery import Gallery

pytestmark = pytest.mark.embedded("exports need a gallery in a folder")

Opener = Callable[..., Gallery]
FUZZ = int(os.environ.get("FACEALL_FUZZ", "500"))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Return a function that opens galleries by name."""
    with ExitStack() as stack:

        def make(name: str = "server", **options: Any) -> Gallery:
            return stack.enter_context(open_whole(tmp_path / name, **options))

        yield make


@pytest.fixture
def server(opened: Opener, photos: Path) -> Gallery:
    """Twelve photos of three people."""
    for number in range(12):
        write_photo(photos / f"Pat {number % 3}" / f"{number}.png", one_face(number))
    gallery = opened()
    list(gallery.register(photos))
    return gallery


@pytest.fixture
def folder(server: Gallery, tmp_path: Path) -> Path:  # type: ignore[override]
    """The exported folder of the gallery."""
    server.index.export_folder(tmp_path / "folder")
    return tmp_path / "folder"


def facts(gallery: Gallery) -> list[tuple[Any, ...]]:
    """Return everything that is stored for each face except its key."""
    return sorted(
        (
            face.person,
            face.path,
            face.box,
            gallery._index[face.face_id].tobytes(),
            gallery.faces.thumbnail(face.face_id),
        )
        for face in gallery.faces.find()
    )


def test_folder_is_plain(server: Gallery, folder: Path) -> None:
    """NumPy and JSON can read the folder: row i of the array belongs to line i of the faces."""
    vectors = np.load(folder / "vectors.npy")
    lines = [json.loads(line) for line in (folder / "faces.jsonl").read_text().splitlines()]
    people = {person["id"]: person["name"] for person in json.loads((folder / "people.json").read_text())}
    thumbnails = (folder / "thumbnails.bin").read_bytes()
    rows = sorted(
        (
            people[line["person"]],
            Path(line["path"]),
            tuple(line["box"]),
            vector.tobytes(),
            thumbnails[line["thumbnail"][0] :][: line["thumbnail"][1]],
        )
        for line, vector in zip(lines, vectors, strict=True)
    )
    assert rows == facts(server)
    head = json.loads((folder / "index.json").read_text())
    assert (head["faces"], head["dimension"], head["model"]) == (12, 8, server.model)


def test_round_trip(server: Gallery, folder: Path, opened: Opener, photos: Path) -> None:
    """An import into an empty gallery is equal; a second import adds nothing; registering finds the photos."""
    other = opened("other")
    result = other.index.import_vectors(folder)
    assert (result.added, result.conflicts) == (12, [])
    assert facts(other) == facts(server)
    assert (other.model, other.index.problems()) == (server.model, [])
    assert (other.index.import_vectors(folder).added, other.index.import_vectors(folder).known) == (0, 12)
    assert {found.status for found in other.register(photos)} == {"unchanged"}


def test_other_model_is_refused(folder: Path, opened: Opener, photos: Path) -> None:
    """A gallery of another model refuses the import."""
    other = opened("other", embedder=WholeEmbedder("else"))
    list(other.register(photos))
    with pytest.raises(IndexMismatchError, match="was made with"):
        other.index.import_vectors(folder)
    assert len(other) == 12


def test_export_needs_a_new_folder(server: Gallery, folder: Path) -> None:
    """An existing folder is not overwritten."""
    with pytest.raises(IndexFileError, match="new or empty folder"):
        server.index.export_folder(folder)
    assert sorted(path.name for path in folder.parent.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("name", ["vectors.npy", "faces.jsonl", "people.json", "thumbnails.bin", "index.json"])
def test_every_file_is_needed(folder: Path, opened: Opener, name: str) -> None:
    """A missing or changed file is named in the error."""
    other = opened("other")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 4
    (folder / name).write_bytes(data)
    with pytest.raises(IndexDamagedError, match="json" if name == "index.json" else name):
        other.index.import_vectors(folder)
    (folder / name).unlink()
    with pytest.raises(IndexFileError, match="expected" if name == "index.json" else name):
        other.index.import_vectors(folder)
    assert len(other) == 0


def test_newer_folder(folder: Path, opened: Opener) -> None:
    """A folder of a later faceall is reported as newer."""
    head = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**head, "format": 2}))
    with pytest.raises(IndexNewerError, match="upgrade"):
        opened("other").index.import_vectors(folder)


def test_fuzzed_folders(folder: Path, opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed file with matching checksums is refused with one line or imported consistently."""
    monkeypatch.setattr("faceall.gallery.maintenance.portable.sha256_of", lambda path: "same")
    head = json.loads((folder / "index.json").read_text())
    head["files"] = dict.fromkeys(head["files"], "same")
    (folder / "index.json").write_text(json.dumps(head))
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    names, refused = sorted(whole), 0
    other = opened("other")
    for seed in range(FUZZ):
        moments = random.Random(seed)
        name = moments.choice(names)
        data = bytearray(whole[name])
        for _ in range(moments.choice((1, 2, 9))):
            data[moments.randrange(len(data))] = moments.randrange(256)
        if moments.random() < 0.2:
            del data[moments.randrange(len(data)) :]
        (folder / name).write_bytes(data)
        try:
            result = other.index.import_vectors(folder)
        except FaceallError as error:
            refused += 1
            message = str(error)
        else:
            message = ""
            assert result.added == len(other)
            assert other.index.problems() == [], seed
            shutil.rmtree(tmp_path / "other")
            other = opened("other")
        assert "\n" not in message, seed
        assert len(other) == 0, seed
        (folder / name).write_bytes(whole[name])
    assert refused > FUZZ * 0.3


def test_names_of_facenet(opened: Opener, tmp_path: Path) -> None:
    """facenet's arrays become people; importing twice adds no duplicates; models are not mixed."""
    vectors = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    source = tmp_path / "facenet"
    source.mkdir()
    np.save(source / "embeddings.npy", vectors)
    np.save(source / "labels.npy", np.array(["Ann", "Bo", "Ann", "Bo", "Ann", "Cleo"]))
    gallery = opened("a")
    with pytest.raises(IndexFileError, match="--made-by"):
        gallery.index.import_vectors(source)
    result = gallery.index.import_vectors(source, made_by="20170512-110547")
    assert (result.added, gallery.model) == (6, "20170512-110547")
    assert [(person.name, person.faces) for person in gallery.people] == [("Ann", 3), ("Bo", 2), ("Cleo", 1)]
    assert (gallery.index.import_vectors(source, made_by="20170512-110547").added, len(gallery)) == (0, 6)
    assert gallery.index.problems() == []
    with pytest.raises(IndexMismatchError):
        gallery.index.import_vectors(source, made_by="another")
    with pytest.raises(IndexMismatchError, match="faceall index migrate"):
        gallery.search(np.zeros((90, 120, 3), np.uint8))
    found = gallery._index.search(vectors[5], 1)
    assert gallery.faces.find(person="Cleo")[0].face_id == found.keys[0, 0]


def test_photos_of_faceall(opened: Opener, tmp_path: Path, photos: Path) -> None:
    """Imported faces keep their photos if the files exist, so that the gallery can change its model."""
    server = tmp_path / "faceall"
    uploads = server / "static" / "uploadImages"
    paths = [write_photo(uploads / f"{number}.jpg", one_face(number)) for number in range(4)]
    graph = hnswlib.Index(space="l2", dim=8)
    graph.init_index(max_elements=10)
    old = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    graph.add_items(old, np.arange(5))
    graph.save_index(str(server / "faceSearchData"))
    labels = {number: f"static/uploadImages/{number}.jpg" for number in range(5)}
    (server / "faceSearchData.pkl").write_bytes(pickle.dumps((5, labels)))
    gallery = opened("a")
    assert gallery.index.import_vectors(server / "faceSearchData", made_by="theirs").added == 5
    assert {face.path for face in gallery.faces.find()} >= set(paths)
    assert {face.person for face in gallery.faces.find()} == {None}
    statuses = [result.status for result in gallery.index.migrate(WholeEmbedder())]
    assert sorted(statuses) == ["embedded"] * 4 + ["stale"]


def test_unit_and_other_lengths(opened: Opener, tmp_path: Path) -> None:
    """Encodings that are not unit vectors, as those of face_recognition, are stored unchanged."""
    vectors = np.random.default_rng(0).normal(size=(3, 128)) * 0.1
    (tmp_path / "e.pickle").write_bytes(pickle.dumps({"encodings": list(vectors), "names": ["Ann", "Bo", "Ann"]}))
    gallery = opened("a")
    gallery.index.import_vectors(tmp_path / "e.pickle", made_by="dlib")
    assert sorted(gallery._index[key].tobytes() for key in gallery._index) == sorted(
        row.astype(np.float32).tobytes() for row in vectors
    )
    assert gallery.index.verify().problems == ()


def test_installed_model_makes_them_searchable(
    opened: Opener, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors imported as those of an installed model are compared with photos."""
    embedder = WholeEmbedder()
    monkeypatch.setattr("faceall.models.installed_models", lambda kind: [embedder.model])
    path = write_photo(photos / "a.png", one_face(3))
    probe = opened("probe")
    list(probe.register(path))
    vector = probe._index[1]
    np.save(tmp_path / "v.npy", vector[None])
    gallery = opened("a")
    gallery.index.import_vectors(tmp_path / "v.npy", made_by="colours")
    assert gallery.model == label_of(embedder.model)
    assert gallery.search(path)[0].matches[0].distance < 1e-6
