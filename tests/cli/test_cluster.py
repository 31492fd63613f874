"""`faceall cluster` and the commands that correct its groups."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Run, records


def test_unknown_faces_are_grouped_and_corrected(run: Run, portraits: Path, tmp_path: Path) -> None:
    """Two photos of one person become a group that can be split, named and exported to folders."""
    run("register", portraits, "--unnamed")
    assert run("people", "list", "--json").stdout == ""
    photo = next(path for path in sorted(portraits.rglob("*.png")))
    assert "has a name; faceall cluster" in run("search", photo, "--by", "person", "-v").stdout
    assert "no one within the threshold" in run("search", photo, "--by", "person", "--threshold", "4").stdout
    *groups, last = records(run("cluster", "--json", "--threshold", "4").stdout)
    (group,) = groups
    assert group["opened"] is True
    assert len(group["faces"]) == 2
    assert last == {"alone": [], "limit": 4.0}
    (person,) = records(run("people", "list", "--json").stdout)
    assert (person["person"], person["named"]) == (group["person"], False)
    run("people", "rename", group["person"], "Eileen")
    split = records(run("people", "split", "Eileen", group["faces"][0], "--json").stdout)[0]
    assert split["person"].startswith("unnamed ")
    run("people", "unassign", group["faces"][1])
    out = tmp_path / "sorted"
    assert "wrote 2 folders" in run("cluster", "--threshold", "0.000001", "--to", out, "--min-faces", "1").stdout
    assert {path.name for path in out.iterdir()} == {split["person"], f"alone {group['faces'][1]}"}


def test_wrong_use_is_one_line(run: Run, portraits: Path, tmp_path: Path) -> None:
    """One-line errors: no gallery, an invalid threshold, conflicting options, unknown faces."""
    assert "there is no gallery yet" in run("cluster", exit_code=1).stderr
    run("register", portraits, "--unnamed")
    assert "threshold is 5" in run("cluster", "--threshold", "5", exit_code=1).stderr
    assert "only with --to" in run("cluster", "--photos", exit_code=1).stderr
    assert "exclude each other" in run("register", portraits, "--unnamed", "--person", "x", exit_code=1).stderr
    assert "has no face 99" in run("people", "unassign", 99, exit_code=1).stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    assert "is not empty" in run("cluster", "--to", tmp_path / "full", exit_code=1).stderr
