"""Model folders on disk: written whole, found in order, damage told."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from faceall.errors import ModelDamagedError, ModelError, ModelNotFoundError
from faceall.models import (
    CAFFEMODEL,
    KNOWN_MODELS,
    MANIFEST,
    PROTOTXT,
    CropRule,
    Manifest,
    ModelFolder,
    Standardisation,
    adopt,
    data_folder,
    find_by_fingerprint,
    find_model,
    installed_models,
    recognise,
    remove,
    scan,
    sha256_of,
    write_model_folder,
)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder, empty, with no other place to look in."""
    monkeypatch.setenv("FACEALL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("FACEALL_MODELS", raising=False)
    return tmp_path / "data"


def write(folder: Path, name: str = "one", size: int = 512, weights: bytes = b"weights", **changes: Any) -> ModelFolder:
    manifest = Manifest(
        name=name, embedding_size=size, input_size=(160, 160), input_blob="in", output_blob="out", **changes
    )
    return write_model_folder(folder, manifest, {PROTOTXT: b"layers", CAFFEMODEL: weights})


def test_a_written_folder_is_read_again(tmp_path: Path) -> None:
    """The manifest holds the files' SHA-256, the folder holds three files and no draft lies about."""
    model = write(tmp_path / "deep" / "one")
    assert ModelFolder.open(model.path) == model
    assert model.manifest.files[CAFFEMODEL] == hashlib.sha256(b"weights").hexdigest() == sha256_of(model.caffemodel)
    assert model.prototxt.read_bytes() == b"layers"
    assert sorted(os.listdir(model.path)) == [MANIFEST, CAFFEMODEL, PROTOTXT]
    assert os.listdir(tmp_path / "deep") == ["one"]
    model.verify()


def test_files_are_copied_from_paths(tmp_path: Path) -> None:
    """Contents may be bytes or the path of a file."""
    (tmp_path / "big").write_bytes(bytes(3_000_000))
    model = write_model_folder(
        tmp_path / "one", write(tmp_path / "two").manifest, {PROTOTXT: b"layers", CAFFEMODEL: tmp_path / "big"}
    )
    assert model.caffemodel.stat().st_size == 3_000_000
    model.verify()


def test_a_folder_in_use_is_not_written_over(tmp_path: Path) -> None:
    """Only an empty folder is taken, unless replacing is asked for."""
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    with pytest.raises(ModelError, match="exists already"):
        write(tmp_path / "empty", weights=b"other")
    assert (tmp_path / "empty" / CAFFEMODEL).read_bytes() == b"weights"
    manifest = ModelFolder.open(tmp_path / "empty").manifest
    write_model_folder(tmp_path / "empty", manifest, {PROTOTXT: b"", CAFFEMODEL: b"new"}, replace_existing=True)
    assert (tmp_path / "empty" / CAFFEMODEL).read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["empty"]


@pytest.mark.parametrize("extra", ["sub/photo.jpg", "photo.jpg", ".hidden"])
def test_only_a_model_is_replaced(tmp_path: Path, extra: str) -> None:
    """A folder with anything that its manifest does not list stays as it is, and so does a file."""
    manifest, files = write(tmp_path / "one").manifest, {PROTOTXT: b"", CAFFEMODEL: b"new"}
    precious = tmp_path / "one" / extra
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("hi")
    (tmp_path / "file").write_text("hi")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("hi")
    for place, words in (("one", "does not list"), ("file", "is a file"), ("photos", "no readable manifest")):
        with pytest.raises(ModelError, match=words):
            write_model_folder(tmp_path / place, manifest, files, replace_existing=True)
    assert (
        precious.read_text() == (tmp_path / "file").read_text() == (tmp_path / "photos" / "a.jpg").read_text() == "hi"
    )
    with pytest.raises(ModelError, match="cannot hold a model"):
        write_model_folder("/", manifest, files, replace_existing=True)


def test_a_link_to_a_model_is_replaced_alone(tmp_path: Path) -> None:
    """What a link points to stays; no draft is left."""
    old = write(tmp_path / "old")
    (tmp_path / "link").symlink_to(old.path)
    write_model_folder(
        tmp_path / "link", old.manifest, {PROTOTXT: b"", CAFFEMODEL: b"new"}, replace_existing=True
    ).verify()
    old.verify()
    assert sorted(os.listdir(tmp_path)) == ["link", "old"]


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """When the disk is full at any moment the old folder stays, and no draft does."""
    write(tmp_path / "one")
    manifest = ModelFolder.open(tmp_path / "one").manifest

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr("faceall.files.writing._renameat2", lambda: None)
        rename = Path.rename
        monkeypatch.setattr(
            Path, "rename", lambda path, to: full() if path.name.endswith(".part") else rename(path, to)
        )
    with pytest.raises(ModelError, match="one: cannot be written"):
        write_model_folder(tmp_path / "one", manifest, {PROTOTXT: b"", CAFFEMODEL: b""}, replace_existing=True)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["one"]
    ModelFolder.open(tmp_path / "one").verify()


def test_an_embedder_without_weights_is_not_written(tmp_path: Path) -> None:
    """What could not be read again is not written."""
    with pytest.raises(ModelError, match="files"):
        write_model_folder(tmp_path / "two", write(tmp_path / "one").manifest, {PROTOTXT: b"layers"})
    assert os.listdir(tmp_path) == ["one"]


def test_damage_is_told_with_both_checksums(tmp_path: Path) -> None:
    """One changed byte is found by verify, a lost file already when the folder is opened."""
    model = write(tmp_path / "one")
    model.caffemodel.write_bytes(b"weightz")
    with pytest.raises(ModelDamagedError) as caught:
        model.verify()
    text = str(caught.value)
    assert text.startswith(str(model.caffemodel))
    assert hashlib.sha256(b"weights").hexdigest() in text
    assert hashlib.sha256(b"weightz").hexdigest() in text
    model.prototxt.unlink()
    with pytest.raises(ModelDamagedError, match=r"model\.prototxt: is missing"):
        ModelFolder.open(model.path)


def test_the_fingerprint_follows_what_decides_the_vector(tmp_path: Path) -> None:
    """Weights and standardisation change it; the place, the name, the crop and the threshold do not."""
    first = write(tmp_path / "a").fingerprint
    same = write(tmp_path / "b", name="other", crop=CropRule(margin=0.5), match_threshold=0.7)
    assert same.fingerprint == first
    assert write(tmp_path / "c", weights=b"w").fingerprint != first
    assert write(tmp_path / "d", standardisation=Standardisation(kind="prewhiten")).fingerprint != first
    assert len(first) == 64


def test_nothing_installed_says_what_to_get() -> None:
    """The one line names the file, its size and the command."""
    with pytest.raises(ModelNotFoundError) as caught:
        find_model()
    assert str(caught.value) == (
        "no embedder is installed: get 20180402-114759.pb (FaceNet, 512-dimensional) and run: "
        "faceall models import 20180402-114759.pb"
    )
    with pytest.raises(ModelNotFoundError, match=r"import 20170512-110547\.pb"):
        find_model(size=128)
    with pytest.raises(ModelNotFoundError, match=r"no detector is installed$"):
        find_model(kind="detector")


def test_other_sizes_are_named(data: Path) -> None:
    """Where another size is installed the line says which; a size that no known file has gets the known sizes."""
    write(data / "models" / "one")
    with pytest.raises(
        ModelNotFoundError, match=r"with 128 dimensions is installed; installed are one \(512\): get 2017"
    ):
        find_model(size=128)
    with pytest.raises(ModelNotFoundError, match="official FaceNet files have 128 or 512 dimensions"):
        find_model(size=100)


def test_the_search_path_decides(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FACEALL_MODELS comes before the data folder, in its order; in a folder the names decide."""
    for place in (data / "models" / "a", tmp_path / "first" / "c", tmp_path / "first" / "b", tmp_path / "single"):
        write(place, name=place.name)
    write(tmp_path / "first" / "small", name="small", size=128)
    monkeypatch.setenv("FACEALL_MODELS", os.pathsep.join([str(tmp_path / "single"), "", str(tmp_path / "first")]))
    assert [model.name for model in installed_models()] == ["single", "b", "c", "small", "a"]
    assert find_model().name == "single"
    assert find_model(size=128).name == "small"
    assert find_model("a").path == data / "models" / "a"
    assert find_model(tmp_path / "first" / "c").name == find_model(str(tmp_path / "first" / "c")).name == "c"
    assert installed_models("detector") == []


def test_the_first_of_a_name_counts(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model on FACEALL_MODELS hides one of the same name in the data folder; scan shows both."""
    write(data / "models" / "one")
    write(tmp_path / "mine" / "one", weights=b"mine")
    monkeypatch.setenv("FACEALL_MODELS", str(tmp_path / "mine"))
    assert [model.path for model in installed_models()] == [tmp_path / "mine" / "one"]
    assert len(scan()) == 2


def test_damaged_folders_hide_nothing(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are scanned with their error, named when asked for, and the others are found all the same."""
    write(data / "models" / "good", name="good")
    write(data / "models" / "bad", name="bad")
    (data / "models" / "bad" / MANIFEST).write_text("{")
    (data / "models" / "notes").mkdir()
    (data / "models" / "file").touch()
    monkeypatch.setenv("FACEALL_MODELS", str(tmp_path / "absent"))
    shown = {entry.path.name: (entry.model is not None, entry.error is not None) for entry in scan()}
    assert shown == {"absent": (False, True), "bad": (False, True), "good": (True, False)}
    assert find_model().name == "good"
    with pytest.raises(ModelError, match=r"bad/manifest\.json: is not JSON"):
        find_model("bad")
    with pytest.raises(ModelNotFoundError, match=r"unusable: .*bad"):
        find_model(size=128)


def test_what_is_named_has_to_fit(data: Path) -> None:
    """An unknown name lists the installed; a named model of another size or kind says so."""
    write(data / "models" / "one")
    with pytest.raises(
        ModelNotFoundError, match="no model 'two' is installed and no folder is there; installed are: one"
    ):
        find_model("two")
    with pytest.raises(ModelError, match="one is 512-dimensional, 128 dimensions were asked for"):
        find_model("one", size=128)
    with pytest.raises(ModelError, match="kind 'embedder', expected 'detector'"):
        find_model("one", kind="detector")


def test_adopting_copies_once(tmp_path: Path, data: Path) -> None:
    """The same model again is no work; another of that name is refused until it is to be replaced."""
    model = write(tmp_path / "one")
    adopted = adopt(model)
    assert adopted.path == data / "models" / "one"
    before = adopted.caffemodel.stat().st_ino
    assert adopt(tmp_path / "one") == adopted
    assert adopted.caffemodel.stat().st_ino == before
    other = write(tmp_path / "other", weights=b"other")
    with pytest.raises(ModelError, match="another model of the name 'one' is installed"):
        adopt(other)
    assert find_model("one").fingerprint == model.fingerprint
    adopt(other, replace=True)
    assert find_model("one").fingerprint == other.fingerprint
    assert os.listdir(data / "models") == ["one"]


def test_adopting_again_repairs(tmp_path: Path, data: Path) -> None:
    """A damaged copy of the same model is renewed; a damaged source is refused."""
    model = write(tmp_path / "one")
    adopt(model).caffemodel.write_bytes(b"harmed")
    adopt(model).verify()
    (data / "models" / "one" / PROTOTXT).unlink()
    adopt(model).verify()
    model.caffemodel.write_bytes(b"harmed")
    with pytest.raises(ModelDamagedError):
        adopt(model)


def test_adopting_what_is_adopted_is_no_work(data: Path) -> None:
    """A model that lies in the data folder already may be adopted from there."""
    model = write(data / "models" / "one")
    assert adopt(model, replace=True) == model
    model.verify()


def test_removing(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what lies in the data folder is deleted, never by a path."""
    adopt(write(tmp_path / "one"))
    remove("one")
    assert installed_models() == []
    with pytest.raises(ModelNotFoundError):
        remove("one")
    monkeypatch.setenv("FACEALL_MODELS", str(tmp_path / "one"))
    with pytest.raises(ModelError, match="outside the user's data folder"):
        remove("one")
    adopt(write(tmp_path / "two", name="two"))
    (data / "keep").mkdir()
    for name in ("../keep", "..", ".", ""):
        with pytest.raises(ModelError):
            remove(name)
    assert (data / "keep").is_dir()
    assert os.listdir(data / "models") == ["two"]


def test_the_data_folder_can_be_given(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FACEALL_DATA is taken as it is; without it the platform decides."""
    assert data_folder() == data
    monkeypatch.delenv("FACEALL_DATA")
    assert data_folder().name == "faceall"


def test_known_files_are_data() -> None:
    """Checksums are well formed and different, and the year decides the standardisation."""
    sums = [known.sha256 for known in KNOWN_MODELS] + [known.zip_sha256 for known in KNOWN_MODELS if known.zip_sha256]
    assert len(set(sums)) == len(sums) == 9
    for known in KNOWN_MODELS:
        assert len(known.sha256) == 64
        assert recognise(known.sha256.upper()) is known
        assert (known.standardisation.kind, known.embedding_size) in {("prewhiten", 128), ("fixed", 512)}
        assert known.standardisation.kind == ("prewhiten" if known.name.startswith("2017") else "fixed")
        Manifest(
            name=known.model_name, embedding_size=1, input_size=(1, 1), input_blob="i", output_blob="o",
            source_sha256=known.sha256, licence=known.licence, accuracy=known.accuracy,
        )  # fmt: skip
    assert recognise("0" * 64) is None


def test_the_rebuilt_graph_is_recognised(shared: Path) -> None:
    """The frozen graph that lies beside the project is a known file."""
    known = recognise(sha256_of(shared / "models" / "facenet" / "20180408-102900.pb"))
    assert known is not None
    assert (known.model_name, known.url) == ("facenet-20180408-102900", None)


def test_a_bundled_name_is_refused(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model of the name would take over the galleries of the one in the package; the same one is copied."""
    monkeypatch.setattr("faceall.models.store.BUNDLED", tmp_path / "bundled")
    bundled = write(tmp_path / "bundled" / "faceall-128", name="faceall-128")
    folder = write(tmp_path / "other", name="faceall-128", channels="BGR")
    with pytest.raises(ModelError, match="'faceall-128' is the name of a model in the package; choose another name"):
        adopt(folder)
    assert not (data / "models" / "faceall-128").exists()
    assert adopt(bundled).fingerprint == bundled.fingerprint


def test_a_model_is_found_by_its_fingerprint(tmp_path: Path, data: Path) -> None:
    """Also where another model of its name comes first; by the beginning of it, but not by nothing."""
    first = write(tmp_path / "elsewhere", name="same")
    second = write(data / "models" / "same", name="same", channels="BGR")
    for model in (first, second):
        found = find_by_fingerprint(model.fingerprint[:12])
        assert (found is None) == (model == first)
    assert find_by_fingerprint("") is None
