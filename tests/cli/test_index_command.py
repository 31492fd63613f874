"""`faceall index ...`, with a real detector and tiny embedders."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run, records

from faceall.index import FaceIndex, GraphOptions
from faceall.index.graph import graph
from tiny_model import write_tiny_model


@pytest.fixture
def gallery(run: Run, portraits: Path, tmp_path: Path) -> Path:
    """Register two people."""
    run("register", portraits)
    return tmp_path / "gallery"


@pytest.fixture
def two_models(environment: dict[str, str], tmp_path: Path) -> None:
    """Install the model that made the gallery and a 64-dimensional one."""
    folder = tmp_path / "two models"
    write_tiny_model(folder)
    write_tiny_model(folder, "tiny-64", size=64, seed=1)
    environment["FACEALL_MODELS"] = str(folder)


def test_verify_reports_a_sound_gallery(run: Run, gallery: Path) -> None:
    """A sound gallery is reported as such, with its recall."""
    done = run("index", "verify")
    assert done.stdout.splitlines()[-1] == "no damage found"
    assert "recall 1.0000" in done.stdout
    (record,) = records(run("index", "verify", "--json").stdout)
    assert (record["problems"], record["vectors"], record["recall"]) == ([], 2, 1.0)


def test_verify_and_repair_damage(run: Run, gallery: Path) -> None:
    """A damaged database gives exit code 1 and names the repair command, which fixes it."""
    import sqlite3

    with sqlite3.connect(gallery / "faces.db") as connection:
        connection.execute("DELETE FROM thumbnails WHERE face = 1")
    connection.close()
    done = run("index", "verify", exit_code=1)
    assert "1 faces without a thumbnail" in done.stderr
    assert "faceall index repair" in done.stderr
    assert "done: 1 thumbnails were created again" in run("index", "repair").stdout
    assert "no damage found" in run("index", "verify").stdout
    assert "nothing to repair" in run("index", "repair").stdout


def test_status_and_stats_name_the_vectors_of_the_graph(run: Run, gallery: Path) -> None:
    """Whole ones, or projected ones with their dimensions."""
    random = np.random.default_rng(0)
    for kind, said in (
        ("float32", "whole vectors"),
        ("projected", "projected vectors"),
    ):
        options = GraphOptions(vectors=kind)  # type: ignore[arg-type]
        with FaceIndex(gallery, exact_limit=0, options=options) as index:
            size = index.dimension
            assert size is not None
            near_a_line = random.normal(size=(400, 1)) * np.ones(size) + 0.001 * random.normal(size=(400, size))
            index.add(near_a_line)
            index.save()
        assert f"search graph of {said}" in run("status").stdout
        (status,), (stats,) = (records(run(*words, "--json").stdout) for words in (("status",), ("index", "stats")))
        assert status["graph"] == kind
        assert stats["index"]["projected"] == (size // 4 if kind == "projected" else None)
        assert (f"{size // 4}, projected" in run("index", "stats").stdout) == (kind == "projected")


def test_a_graph_that_cannot_be_used_is_named(run: Run, gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a usable hnswlib, status, stats, verify and doctor say why, and that every search is exact."""
    with FaceIndex(gallery, exact_limit=0) as index:
        assert index.dimension is not None
        index.add(np.random.default_rng(0).normal(size=(400, index.dimension)))
        index.save()
    monkeypatch.setattr(graph, "why_no_graphs", lambda: "hnswlib cannot be loaded (GLIBCXX_9)")
    for words, exit_code in ((("status",), 0), (("index", "stats"), 0), (("index", "verify"), 1)):  # no photos: 1
        said = run(*words, exit_code=exit_code).stdout
        assert "because hnswlib cannot be loaded (GLIBCXX_9); every search is exact" in said
        assert not any(word in said for word in ("search graph of", "searched with", "graph current"))
    assert "exact, because hnswlib cannot be loaded (GLIBCXX_9)" in run("doctor", exit_code=1).stdout


def test_compact_and_stats(run: Run, gallery: Path) -> None:
    """The output has the sizes before and after, and the size per face."""
    run("people", "remove", "Mirror")
    (record,) = records(run("index", "compact", "--json").stdout)
    assert record["database_after"] <= record["database_before"]
    text = run("index", "stats").stdout
    assert "1 of 1 person on 2 photos" in text
    assert "bytes per face" in text
    (found,) = records(run("index", "stats", "--json").stdout)
    assert (found["face_count"], found["index"]["vectors"], found["index"]["dimension"]) == (1, 1, 128)
    assert found["index"]["database"] == (gallery / "faces.db").stat().st_size


def test_repair_of_an_empty_file(run: Run, gallery: Path) -> None:
    """An empty database file is not reported as sound, and it is left unchanged."""
    for path in gallery.glob("faces.db*"):
        path.write_bytes(b"")
    assert "faces.db is empty: restore it" in run("index", "repair", exit_code=1).stderr
    assert (gallery / "faces.db").stat().st_size == 0


def test_migrate_to_another_size(
    run: Run, gallery: Path, two_models: None, environment: dict[str, str], portraits: Path
) -> None:
    """After the embedding size changes, search names `migrate`, which makes all people findable again."""
    environment["EMBEDDING_SIZE"] = "64"
    photo = portraits / "Eileen" / "1.png"
    refused = run("search", photo, exit_code=1)
    assert "(128 dimensions)" in refused.output
    assert "makes 64" in refused.output
    assert "faceall index migrate --model tiny-64" in refused.output
    done = run("index", "migrate", "--json")
    lines = records(done.stdout)
    assert [line["status"] for line in lines[:2]] == ["embedded", "embedded"]
    assert lines[2]["switched"] is True
    (found,) = records(run("search", photo, "--json").stdout)
    assert found["matches"][0]["person"] == "Eileen"
    assert found["matches"][0]["distance"] < 1e-6
    assert "nothing to do" in run("index", "migrate").stdout
    assert "64 dimensions" in run("index", "stats").stdout


def test_migrate_without_photos(run: Run, gallery: Path, two_models: None, portraits: Path) -> None:
    """A missing photo is listed; if all are missing, nothing changes and the error says what to do."""
    (portraits / "Eileen" / "1.png").rename(portraits / "away.png")
    done = run("index", "migrate", "--model", "tiny-64")
    assert "stale" in done.stdout
    assert "the file is gone" in done.stdout
    assert "1 face without a photo" in run("index", "stats").stdout
    (portraits / "Mirror" / "1.png").unlink()
    assert "--thumbnails" in run("index", "migrate", "--model", "tiny", exit_code=1).output
    assert "1 thumbnail" in run("index", "migrate", "--model", "tiny", "--thumbnails").stdout


def test_backup_is_a_gallery(run: Run, gallery: Path, tmp_path: Path, portraits: Path) -> None:
    """A backup can be searched like the original; an existing folder is not overwritten."""
    copy = tmp_path / "copy"
    assert "2 faces" in run("index", "backup", copy).stdout
    (found,) = records(run("search", portraits / "Mirror" / "1.png", "--gallery", copy, "--json").stdout)
    assert found["matches"][0]["person"] == "Mirror"
    assert "new or empty folder" in run("index", "backup", copy, exit_code=1).output


def test_export_and_import(run: Run, gallery: Path, tmp_path: Path) -> None:
    """A gallery is exported to a folder of arrays and JSON, and imported from it."""
    folder, other = tmp_path / "folder", tmp_path / "other"
    assert "2 faces" in run("index", "export", folder).stdout
    assert np.load(folder / "vectors.npy").shape == (2, 128)
    assert json.loads((folder / "index.json").read_text())["faces"] == 2
    assert "2 faces added" in run("index", "import", folder, "--gallery", other).stdout
    assert "0 faces added, 2 already known" in run("index", "import", folder, "--gallery", other).stdout


def test_import_of_other_programs(run: Run, tmp_path: Path) -> None:
    """Encodings with names become people; a pickle with code is refused in one line."""
    path = tmp_path / "encodings.pickle"
    path.write_bytes(pickle.dumps({"encodings": [np.ones(4), np.zeros(4) + 0.1], "names": ["Ann", "Bo"]}))
    assert "--made-by" in run("index", "import", path, exit_code=1).output
    assert "2 faces added" in run("index", "import", path, "--made-by", "dlib").stdout
    assert [found["person"] for found in records(run("people", "list", "--json").stdout)] == ["Ann", "Bo"]
    path.write_bytes(b"cos\nsystem\n(S'echo pwned'\ntR.")
    done = run("index", "import", path, "--made-by", "dlib", exit_code=1)
    assert "calls os.system" in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "repair", "compact", "migrate", "stats"])
def test_no_gallery(run: Run, tmp_path: Path, command: str) -> None:
    """Without a gallery, a one-line error is printed and no gallery is created."""
    done = run("index", command, exit_code=1)
    assert "there is no gallery" in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "gallery").exists()
