"""`faceall gallery export` and `import`, with a real detector and a tiny embedder."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from cli_runs import Run, records


@pytest.fixture
def bundle(run: Run, portraits: Path, tmp_path: Path) -> Path:
    """Export two people into a bundle."""
    run("register", portraits)
    run("gallery", "export", tmp_path / "team.faceall")
    return tmp_path / "team.faceall"


def test_export_reports_the_contents(run: Run, bundle: Path, tmp_path: Path) -> None:
    """Counts and size are printed as text and JSON; the file is a zip; --replace overwrites it."""
    (record,) = records(run("gallery", "export", bundle, "--replace", "--json").stdout)
    assert record == {"path": str(bundle), "person_count": 2, "face_count": 2, "bytes": bundle.stat().st_size}
    assert zipfile.is_zipfile(bundle)
    assert "exists already" in run("gallery", "export", bundle, exit_code=1).output
    text = run("gallery", "export", tmp_path / "one.faceall", "--people", "Eileen").stdout
    assert "1 face of 1 person" in text


def test_import_into_another_gallery(run: Run, bundle: Path, tmp_path: Path) -> None:
    """An import adds people and faces; a second import reports them as known."""
    other = tmp_path / "other"
    (first,) = records(run("gallery", "import", bundle, "--gallery", other, "--json").stdout)
    assert (first["added"], sorted(first["new_people"])) == (2, ["Eileen", "Mirror"])
    assert "0 faces added, 2 already known" in run("gallery", "import", bundle, "--gallery", other).stdout
    people = records(run("people", "list", "--gallery", other, "--json").stdout)
    assert [person["person"] for person in people] == ["Eileen", "Mirror"]


def test_search_finds_what_was_imported(run: Run, bundle: Path, portraits: Path, tmp_path: Path) -> None:
    """A photo is recognised by faces that were imported from a bundle."""
    other = tmp_path / "other"
    run("gallery", "import", bundle, "--gallery", other)
    (found,) = records(run("search", portraits / "Eileen" / "1.png", "--gallery", other, "--json").stdout)
    assert found["matches"][0]["person"] == "Eileen"
    assert found["matches"][0]["distance"] < 1e-6


def test_removed_faces_are_not_imported(run: Run, bundle: Path) -> None:
    """Removed faces are not imported again; the output says how to restore them."""
    run("people", "remove", "Eileen")
    done = run("gallery", "import", bundle)
    assert "--restore" in done.output
    assert "0 faces added, 1 already known" in done.output
    assert "1 face added" in run("gallery", "import", bundle, "--restore").output


def test_damaged_bundle_is_one_line(run: Run, bundle: Path) -> None:
    """A truncated file gives a one-line error and exit code 1."""
    bundle.write_bytes(bundle.read_bytes()[:-30])
    done = run("gallery", "import", bundle, exit_code=1)
    assert done.output.count("\n") == 1
    assert "is not a sound gallery bundle" in done.output


def test_conflicts_are_listed(run: Run, bundle: Path) -> None:
    """A name that differs and is not imported is reported on stderr and as JSON."""
    run("people", "rename", "Eileen", "Eileen Collins")
    done = run("gallery", "import", bundle, "--json")
    (record,) = records(done.stdout)
    (conflict,) = record["conflicts"]
    assert "'Eileen' is called 'Eileen Collins' here" in conflict
    assert conflict in done.stderr


@pytest.mark.parametrize("command", ["gallery", "index"])
def test_failed_import_makes_no_gallery(run: Run, tmp_path: Path, command: str) -> None:
    """A failed import leaves neither an empty gallery nor the folders above it."""
    (tmp_path / "no.faceall").write_bytes(b"no bundle")
    target = tmp_path / "new" / "gallery"
    for source in (tmp_path / "no.faceall", tmp_path / "missing.faceall"):
        done = run(command, "import", source, "--gallery", target, exit_code=1)
        assert done.output.count("\n") == 1
        assert not target.parent.exists()


def test_failed_import_leaves_a_gallery_alone(run: Run, bundle: Path, tmp_path: Path) -> None:
    """A failed import keeps a gallery that existed before, even an empty one."""
    (tmp_path / "no.faceall").write_bytes(b"no bundle")
    run("gallery", "import", tmp_path / "no.faceall", exit_code=1)
    assert len(records(run("people", "list", "--json").stdout)) == 2


def test_export_of_a_read_only_gallery(
    run: Run, portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only gallery is exported as a bundle and as a folder without being written to."""
    run("register", portraits)
    before = (tmp_path / "gallery" / "faces.db").read_bytes()
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    for command, target in (("gallery", "team.faceall"), ("index", "folder")):
        assert "2 faces" in run(command, "export", tmp_path / target).stdout
    assert (tmp_path / "gallery" / "faces.db").read_bytes() == before


def test_export_without_a_gallery(run: Run, tmp_path: Path) -> None:
    """Without a gallery, a one-line error is printed and no gallery is created."""
    done = run("gallery", "export", tmp_path / "a.faceall", exit_code=1)
    assert "there is no gallery yet" in done.output
    assert not (tmp_path / "gallery").exists()


def test_model_must_be_installed_to_export(run: Run, bundle: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A gallery whose model is not installed is refused, because the bundle needs its manifest."""
    empty = tmp_path / "no models"
    empty.mkdir()
    environment["FACEALL_MODELS"] = str(empty)
    assert run("gallery", "export", tmp_path / "b.faceall", exit_code=1).output.count("\n") == 1
