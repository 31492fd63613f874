"""Each command on real images, with a real detector and a tiny embedder."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from detector_files import yunet_file
from faceall.gallery import Removal
from faceall.images import read_image
from faceall.index import Receipt
from faceall_cli.commands.gallery.receipts import proof_of
from tiny_model import write_tiny_model


def test_register_and_search(run: Run, portraits: Path) -> None:
    """A registered photo is found by a search with itself; the JSON has the fields that scripts need."""
    added = records(run("register", portraits, "--json").stdout)
    first, second, wall = portraits / "Eileen/1.png", portraits / "Mirror/1.png", portraits / "wall.png"
    decided = {"photo_count": 1, "agreeing": 1, "compared": 1}
    assert added == [
        {"path": str(wall), "status": "no-face", "face_count": 0, "person": None},
        {"path": str(first), "status": "added", "face_count": 1, "person": None, "suggested": "Eileen"},
        {"path": str(second), "status": "added", "face_count": 1, "person": None, "suggested": "Mirror"},
        {"path": str(first.parent), "status": "named", "person": "Eileen", **decided},
        {"path": str(second.parent), "status": "named", "person": "Mirror", **decided},
    ]
    assert {record["status"] for record in records(run("register", portraits, "--json").stdout)} == {
        "no-face",
        "unchanged",
    }
    (found,) = records(run("search", first, "-k", 1, "--json").stdout)
    assert list(found) == ["path", "box", "score", "matches", "second", "threshold", "notes"]
    assert found["path"] == str(first)
    assert len(found["box"]) == 4
    assert 0.7 < found["score"] <= 1
    (match,) = found["matches"]
    assert list(match) == [
        "person",
        "path",
        "distance",
        "similarity",
        "face_id",
        "match",
        "decision",
        "judged_distance",
        "taken",
        "camera",
    ]
    assert (match["match"], found["threshold"]) == (None, None)  # this model has no threshold
    assert list(found["second"]) == ["person", "distance", "similarity", "face_id"]
    assert found["second"]["person"] == "Mirror"
    assert (match["person"], match["path"]) == ("Eileen", str(first))
    assert match["distance"] == pytest.approx(0, abs=1e-4)
    assert match["similarity"] == pytest.approx(1 - match["distance"] / 2, abs=1e-5)


def test_register_prints_text(run: Run, portraits: Path) -> None:
    """Without --json: one line for every photo with a remark, a summary, and names from folders."""
    *lines, names = run("register", portraits).stdout.splitlines()
    assert names == "named after their folders: Eileen (1), Mirror (1)"
    assert [line.split()[0] for line in lines[:-1]] == ["no-face"]
    assert lines[-1].startswith("3 photos in ")
    assert lines[-1].endswith("2 added, 1 no-face")
    lines = run("register", portraits, "-v").stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["no-face", "unchanged", "unchanged"]
    assert run("register", portraits, "--quiet").output.split()[0] == "no-face"  # problems are reported all the same


def test_search_prints_text(run: Run, portraits: Path) -> None:
    """One line per face, a table with -v, nearest first; a threshold without matches is reported."""
    run("register", portraits)
    (line,) = run("search", portraits / "Eileen/1.png").stdout.splitlines()
    assert line.endswith("1.png: Eileen, distance 0.000")
    result = run("search", portraits / "Eileen/1.png", "-v")
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["person", "distance", "similarity", "face", "photo"]
    assert [line.split()[0] for line in lines[2:-1]] == ["Eileen", "Mirror"]
    assert lines[-1].split()[:3] == ["second-best", "person:", "Mirror"]
    assert "faceall calibrate" in result.stderr  # reports that no threshold is known
    blurred = portraits / "blurred.png"
    with PillowImage.open(portraits / "Eileen/1.png") as image:
        image.resize((300, 300)).save(blurred)
    assert "no one within the threshold" in run("search", blurred, "--threshold", 0).stdout


def test_search_without_a_face(run: Run, portraits: Path) -> None:
    """If no query has a face: one error each, exit code 1; one usable query is enough for 0."""
    run("register", portraits)
    wall = portraits / "wall.png"
    result = run("search", wall, "--json", exit_code=1)
    assert (records(result.stdout), result.stderr) == ([], f"faceall: {wall}: no face found\n")
    assert json.loads(result.stdout)["error"]["message"] == f"{wall}: no face found"
    result = run("search", wall, portraits / "missing.jpg", portraits / "Eileen/1.png", "--json")
    assert len(records(result.stdout)) == 1
    assert f"faceall: {portraits / 'missing.jpg'}: no such file" in result.stderr


def test_detect_and_draw(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Every face has box, score and landmarks; drawn images with equal names do not overwrite each other."""
    drawn = tmp_path / "drawn"
    found = records(run("detect", portraits, "--draw", drawn, "--json").stdout)
    assert [len(record["faces"]) for record in found] == [0, 1, 1]
    assert (found[1]["width"], found[1]["height"]) == (512, 512)
    x0, y0, x1, y1 = found[1]["faces"][0]["box"]
    assert all(x0 < x < x1 and y0 < y < y1 for x, y in found[1]["faces"][0]["landmarks"])
    assert sorted(path.name for path in drawn.iterdir()) == ["1-2.jpg", "1.jpg", "wall.jpg"]
    assert "1 face" in run("detect", portraits / "Eileen").stdout
    run("detect", portraits / "wall.png", exit_code=1)


def test_truncated_jpeg_is_used_as_far_as_it_goes(run: Run, portraits: Path) -> None:
    """What is missing is remarked on, with a face and without one."""
    cut = {}
    for name in ("Eileen/1", "wall"):
        content = io.BytesIO()
        PillowImage.open(portraits / f"{name}.png").resize((512, 512)).save(content, "JPEG")
        cut[name] = portraits / name.replace("1", "cut.jpg").replace("wall", "cut.jpg")
        cut[name].write_bytes(content.getvalue()[: len(content.getvalue()) * 9 // 10])
    done = run("detect", cut["Eileen/1"], "--json")
    assert [record["path"] for record in records(done.stdout)] == [str(cut["Eileen/1"])]
    assert "cut.jpg: the end of the file is missing" in done.stderr
    done = run("register", *cut.values(), "--json")
    assert {(record["status"], record["notes"][-1]) for record in records(done.stdout) if "notes" in record} == {
        (status, "the end of the file is missing") for status in ("added", "no-face")
    }


def test_embed(run: Run, portraits: Path, tmp_path: Path) -> None:
    """There is one unit float32 row per face, in the order of the printed rows; without a face, no file."""
    output = tmp_path / "vectors.npy"
    rows = records(run("embed", portraits, "-o", output, "--json").stdout)
    vectors = np.load(output)
    assert (vectors.dtype, vectors.shape) == (np.float32, (2, 128))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert [(row["row"], Path(row["path"]).parent.name) for row in rows] == [(0, "Eileen"), (1, "Mirror")]
    run("embed", portraits / "wall.png", "-o", tmp_path / "none.npy", exit_code=1)
    assert not (tmp_path / "none.npy").exists()
    run("embed", portraits, "-o", tmp_path / "no" / "folder.npy", exit_code=1)


def test_compare(run: Run, portraits: Path) -> None:
    """Equal images have distance 0; an image without a face is an error."""
    first = portraits / "Eileen/1.png"
    (same,) = records(run("compare", first, first, "--json").stdout)
    assert same == {
        "path": str(first),
        "other_path": str(first),
        "distance": 0.0,
        "similarity": 1.0,
        "match": None,
        "threshold": None,
    }
    assert "shows no face" in run("compare", first, portraits / "wall.png", exit_code=1).stderr


def test_people_commands(run: Run, portraits: Path) -> None:
    """People are listed, renamed, named, merged and removed."""
    run("register", portraits)
    run("people", "rename", "Eileen", "Eileen Collins")
    listed = records(run("people", "list", "--json").stdout)
    assert listed == [
        {"person": "Eileen Collins", "face_count": 1, "photo_count": 1, "named": True},
        {"person": "Mirror", "face_count": 1, "photo_count": 1, "named": True},
    ]
    (face,) = records(run("people", "list", "Mirror", "--json").stdout)
    run("people", "name", face["face_id"], "Twin")
    run("people", "merge", "Twin", "Eileen Collins")
    (person,) = records(run("people", "list", "--json").stdout)
    assert (person["person"], person["face_count"], person["photo_count"]) == ("Eileen Collins", 2, 2)
    assert "did you mean" in run("people", "remove", "Eileen", exit_code=1).stderr
    text = run("people", "remove", "Eileen Collins").stdout
    assert "(2 faces and 2 photos erased; nothing of this is left in the gallery)" in text
    assert run("people", "list", "--json").stdout == ""


def test_removing(run: Run, portraits: Path) -> None:
    """Faces are removed by id and photos by path; unknown ones are an error."""
    run("register", portraits)
    (found,) = records(run("search", portraits / "Eileen/1.png", "-k", 1, "--json").stdout)
    (gone,) = records(run("remove", found["matches"][0]["face_id"], "--json").stdout)
    proof = {"secure_delete": True, "log": "empty", "graph": "none", "complete": True, "damaged_copies": []}
    assert gone["receipt"] == {"face_count": 1, "stale_face_count": 0, "photo_count": 1, "generation": 2, **proof}
    text = run("remove", portraits / "Mirror").stdout
    assert "(1 face and 1 photo erased; nothing of this is left in the gallery)" in text
    (status,) = records(run("status", "--json").stdout)
    assert (status["face_count"], status["person_count"], status["photo_count"], status["without_face"]) == (0, 0, 1, 1)
    assert "no photo" in run("remove", portraits / "Mirror", exit_code=1).stderr
    assert "(1 photo erased; nothing of this is left in the gallery)" in run("remove", portraits / "wall.png").stdout
    assert "gallery is empty" in run("search", portraits / "Eileen/1.png", exit_code=1).stderr


def test_receipt_says_what_is_left() -> None:
    """The text names each place that still has what was removed."""
    removal = Removal((1,), (), (), receipt=Receipt(3, True, "held", "outdated", ("faces.db.damaged-1",)))
    said = proof_of(removal)
    assert said.startswith(" (1 face erased; the search graph still has removed faces until it is saved again; another")
    assert "NOT removed from faces.db.damaged-1" in said


def test_status_reports_missing_files(run: Run, portraits: Path) -> None:
    """Missing files are counted in the text and in the JSON output."""
    run("register", portraits)
    (portraits / "Eileen/1.png").unlink()
    assert "1 missing files" in run("status").stdout
    (status,) = records(run("status", "--json").stdout)
    assert (status["face_count"], status["vanished"], status["dimension"]) == (2, 1, 128)


def test_missing_photos_are_removed_on_request(run: Run, portraits: Path) -> None:
    """Only photos whose files are gone; a folder that is gone is refused, and the exit code says so."""
    run("register", portraits)
    (portraits / "Eileen/1.png").unlink()
    refused = run("remove", "--missing", portraits, exit_code=1).stderr
    assert "Eileen: is empty; is the drive connected? Without --missing its photos are removed" in refused
    (portraits / "Eileen").rmdir()
    result = run("remove", "--missing", portraits, portraits)
    assert result.stdout.startswith("removed 1 missing photo: ")
    assert len(result.stdout.splitlines()) == 1
    assert {record["person"] for record in records(run("people", "list", "--json").stdout)} == {"Mirror"}
    (record,) = records(run("remove", "--missing", portraits, "--json").stdout)
    assert (record["photo_count"], record["receipt"]["face_count"]) == (0, 0)
    (portraits / "Mirror/1.png").unlink()
    (portraits / "Mirror/note.txt").write_text("")
    result = run("remove", "--missing", portraits, portraits / "gone", exit_code=1)  # all are checked first
    assert (result.stdout, len(records(run("people", "list", "--json").stdout))) == ("", 1)
    error = run("remove", "--missing", portraits / "gone", exit_code=1).stderr
    assert "gone: is not a folder that exists; is the drive connected?" in error


def test_the_gallery_remembers_its_detector(run: Run, portraits: Path, tmp_path: Path) -> None:
    """`register --detector` sets the detector of the gallery; the status shows it, and an unknown one is an error."""
    (tmp_path / "net.onnx").write_bytes(yunet_file())
    run("models", "import", tmp_path / "net.onnx")
    run("register", portraits)
    assert "; detector mtcnn" in run("status").stdout
    assert "available are mtcnn, net" in run("register", portraits, "--detector", "other", exit_code=1).stderr
    run("register", portraits, "--detector", "net")
    run("register", portraits)
    assert records(run("status", "--json").stdout)[0]["detector"] == "net"
    assert "; detector net" in run("status").stdout
    portrait = portraits / "Eileen/1.png"
    assert len(records(run("detect", portrait, "--json").stdout)[0]["faces"]) == 1
    assert records(run("detect", portrait, "--detector", "net", "--json", exit_code=1).stdout)[0]["faces"] == []


def test_models(run: Run, models: Path, tmp_path: Path) -> None:
    """Models are listed, described, verified, imported and removed; a damaged model is detected."""
    (listed,) = records(run("models", "list", "--json").stdout)
    assert listed == {"name": "tiny", "kind": "embedder", "embedding_size": 128, "path": str(models / "tiny")}
    (info,) = records(run("models", "info", "--json").stdout)
    assert (info["name"], info["input_size"], len(info["fingerprint"])) == ("tiny", [160, 160], 64)
    write_tiny_model(tmp_path, "other", 64, seed=1)
    run("models", "import", tmp_path / "other")
    assert records(run("models", "verify", "other", "--json").stdout)[0]["ok"] is True
    weights = tmp_path / "data" / "models" / "other" / "model.caffemodel"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert "SHA-256" in run("models", "verify", exit_code=1).stderr
    run("doctor", exit_code=1)
    run("models", "remove", "other")
    assert "other" in run("models", "info", "other", exit_code=1).stderr
    assert len(records(run("models", "list", "--json").stdout)) == 1


def test_gallery_refuses_another_model(run: Run, portraits: Path, tmp_path: Path) -> None:
    """A gallery keeps its model; another one is refused with an error that names both."""
    run("register", portraits)
    write_tiny_model(tmp_path, "other", 64, seed=1)
    result = run("search", portraits / "Eileen/1.png", "--model", tmp_path / "other", exit_code=1)
    assert "tiny" in result.stderr
    assert "other" in result.stderr
    write_tiny_model(tmp_path / "data" / "models", "aaa", 64, seed=2)
    run("search", portraits / "Eileen/1.png")


def test_convert_refuses_other_files(run: Run, tmp_path: Path) -> None:
    """A file that is not a graph gives a one-line error and creates no folder."""
    (tmp_path / "x.pb").write_bytes(b"hello")
    for command in (["convert", tmp_path / "x.pb", "-o", tmp_path / "out"], ["models", "import", tmp_path / "x.pb"]):
        result = run(*command, exit_code=1)
        assert result.stderr.startswith("faceall: ")
        assert result.stderr.count("\n") == 1
    (tmp_path / "x.zip").write_bytes(b"hello")
    assert "cannot be unpacked" in run("models", "import", tmp_path / "x.zip", exit_code=1).stderr
    assert not (tmp_path / "out").exists()


def test_doctor(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Every topic is examined; a broken gallery is detected."""
    run("register", portraits)
    topics = [record["topic"] for record in records(run("doctor", "--json").stdout)]
    assert topics == ["faceall", "packages", "search", "processor", "model", "engine", "detector", "gallery"]
    with sqlite3.connect(tmp_path / "gallery" / "faces.db") as connection:
        connection.execute("DELETE FROM thumbnails")
    connection.close()
    assert "2 faces without a thumbnail" in run("doctor", exit_code=1).stdout


def test_doctor_suggests_a_fix_for_a_missing_model(run: Run, portraits: Path, tmp_path: Path) -> None:
    """If an update replaced the gallery's model, doctor says what to do."""
    run("register", portraits)
    assert "which is not installed" not in run("doctor").stdout
    with sqlite3.connect(tmp_path / "gallery" / "faces.db") as connection:
        connection.execute("UPDATE meta SET value = 'tiny (0123456789ab)' WHERE key = 'index.model'")
    connection.close()
    assert "tiny (0123456789ab), which is not installed" in run("doctor").stdout
    assert "faceall index migrate" in run("doctor").stdout


def test_drawing_never_replaces_a_photo(run: Run, portraits: Path) -> None:
    """An image drawn into the folder of the photos gets another file name."""
    folder = portraits / "Eileen"
    with PillowImage.open(folder / "1.png") as image:
        image.save(folder / "1.jpg")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    run("detect", folder / "1.jpg", "--draw", folder)
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "1-2.jpg").exists()


def test_an_empty_path_removes_and_registers_nothing(
    run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty path, as from a script's unset variable, is not the current folder."""
    run("register", portraits)
    monkeypatch.chdir(portraits)
    assert "path is empty" in run("remove", "", exit_code=1).stderr
    assert "the path is empty" in run("register", "", exit_code=1).stderr
    assert run("status", "--json").stdout.count('"face_count": 2') == 1


def test_a_number_that_is_also_a_file_is_ambiguous(run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is a face id and a folder removes nothing; ./1 means the folder."""
    run("register", portraits)
    monkeypatch.chdir(portraits)
    (portraits / "1").mkdir()
    assert "./1" in run("remove", "1", exit_code=1).stderr
    assert "no photo" in run("remove", "./1", exit_code=1).stderr


@pytest.mark.parametrize(
    "arguments",
    [("remove", "9" * 5000), ("people", "name", "9" * 20, "Bob"), ("detect", "x.jpg", "--min-face", "nan")],
    ids=["remove", "name", "nan"],
)
def test_out_of_range_numbers_are_refused(run: Run, portraits: Path, arguments: tuple[str, ...]) -> None:
    """Numbers out of range give a one-line error and exit code 1, no traceback."""
    run("register", portraits)
    assert len(run(*arguments, exit_code=1).stderr.strip().splitlines()) == 1


def test_names_are_normalised(run: Run, portraits: Path) -> None:
    """Names that differ in Unicode composition or surrounding white space are one person."""
    run("register", portraits)
    run("people", "rename", "Eileen", " Jose\u0301 ")
    assert records(run("people", "list", "Jos\u00e9", "--json").stdout)
    run("people", "rename", "Mirror", "Jos\u00e9", exit_code=1)


def test_vectors_for_a_missing_folder_are_refused_at_once(run: Run, portraits: Path, tmp_path: Path) -> None:
    """A missing output folder is reported before any image is read."""
    result = run("embed", portraits, "-o", tmp_path / "missing" / "x.npy", exit_code=1)
    assert result.stdout == ""
    assert "does not exist" in result.stderr


def test_a_gallery_path_that_cannot_be_used(run: Run, portraits: Path) -> None:
    """A path too long for the file system gives a one-line error, no traceback."""
    for command in ("status", "doctor"):
        result = run(command, "--gallery", portraits / ("x" * 300), exit_code=1)
        assert "Traceback" not in result.output
        assert "cannot be used" in result.output


def test_search_by_person_and_explained(run: Run, portraits: Path, tmp_path: Path) -> None:
    """`--by person` lists people with nearest and mean distance; `--explain` writes an image per query."""
    run("register", portraits)
    query = portraits / "Eileen" / "1.png"
    out = tmp_path / "why"
    result = run("search", query, "--by", "person", "--explain", out, "--json")
    (record,) = records(result.stdout)
    assert [person["person"] for person in record["people"]] == ["Eileen", "Mirror"]
    assert record["people"][0]["distance"] == record["people"][0]["mean_distance"] < 1e-3
    (drawn,) = out.iterdir()
    assert read_image(drawn).shape[2] == 3
    assert "nearest" in run("search", query, "--by", "person", "-v").stdout
    (record,) = records(run("search", query, "--person", "Mirror", "--json").stdout)
    assert {match["person"] for match in record["matches"]} == {"Mirror"}
    assert "is called 'Ghost'" in run("search", query, "--person", "Ghost", exit_code=1).stderr


def test_photos_that_disappear_midway_are_an_error(run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the files vanish during a registration, the exit code is 1 and they are counted."""
    from faceall.images import find_images

    def and_remove_the_folder(paths: Path, **options: object) -> list[Path]:
        found = find_images(paths, **options)  # type: ignore[arg-type]
        found[0].unlink()
        return found

    monkeypatch.setattr("faceall.gallery.naming.paths.find_images", and_remove_the_folder)
    result = run("register", portraits, exit_code=1)
    assert "1 photo disappeared during the registration; is the drive still connected?" in result.stderr
