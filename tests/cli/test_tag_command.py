"""`faceall tag`: lines, counts and JSON."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Run, records


def test_tag_reports_removed_names(run: Run, portraits: Path) -> None:
    """A name that is gone from the gallery is announced by --dry-run, and its sidecar is deleted."""
    sidecar = portraits / "Eileen" / "1.png.xmp"
    run("register", portraits / "Eileen", "--person", "Eileen")
    assert "1 photo with named faces: 1 written" in run("tag").stderr
    assert "1 photo with named faces: 1 unchanged\n" in run("tag").stderr
    run("people", "unname", "Eileen")
    announced = run("tag", "--dry-run")
    assert announced.stdout.split()[0] == "would-remove"
    assert announced.stdout.rstrip().endswith("1.png.xmp: without Eileen")
    assert "0 photos with named faces; names to be removed from 1 sidecar" in announced.stderr
    assert sidecar.exists()
    done = run("tag", "--json")
    (record,) = records(done.stdout)
    assert (record["status"], record["people"], record["removed"]) == ("removed", [], ["Eileen"])
    assert "names removed from 1 sidecar" in done.stderr
    assert not sidecar.exists()
    assert run("tag").stdout == ""


def test_tag_reports_names_that_differ(run: Run, portraits: Path) -> None:
    """The name of another program and that of the gallery are in one line, in every run."""
    sidecar = portraits / "Eileen" / "1.png.xmp"
    run("register", portraits / "Eileen", "--person", "Eileen")
    run("tag")
    sidecar.write_text(sidecar.read_text().replace(">Eileen<", ">Cid<"))
    for _ in range(2):
        done = run("tag")
        assert done.stdout.count("\n") == 1
        assert "unchanged" in done.stdout
        assert "'Cid' (in the gallery 'Eileen')" in done.stdout
        assert "1 unchanged; names of another program differ in 1 photo" in done.stderr
    (record,) = records(run("tag", "--json").stdout)
    assert record["conflicts"] == [{"sidecar": "Cid", "gallery": "Eileen"}]


def test_register_notes_a_damaged_sidecar(run: Run, portraits: Path) -> None:
    """The line of a photo says that its sidecar was not read, also when the photo is registered already."""
    (portraits / "Eileen" / "1.png.xmp").write_text("<x:xmpmeta")
    for status in ("added", "unchanged"):
        line = run("register", portraits / "Eileen", "--names-from", "xmp").stdout.splitlines()[0]
        assert line.startswith(status)
        assert "1.png.xmp was not read: is not XML" in line
