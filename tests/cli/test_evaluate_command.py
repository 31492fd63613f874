"""`faceall evaluate` on real images, with a real detector and a tiny embedder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from detector_files import yunet_file
from faceall.types import Image
from tiny_model import write_tiny_model


@pytest.fixture
def faces(astronaut: Image, tmp_path: Path) -> Path:
    """Return a list of eight pairs: brightness variants are "one person", the mirror image is "two people"."""
    folder = tmp_path / "faces"
    folder.mkdir()
    portrait = astronaut[:300, 100:400]
    lines = ["first,second,same"]
    for number in range(4):
        light = np.clip(portrait.astype(float) * (0.94 + 0.02 * number), 0, 255).astype(np.uint8)
        PillowImage.fromarray(light).save(folder / f"{number}.png")
        PillowImage.fromarray(light[:, ::-1]).save(folder / f"{number}-mirror.png")
        lines += [f"{number}.png,{(number + 1) % 4}.png,1", f"{number}.png,{number}-mirror.png,0"]
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder


def test_evaluating(run: Run, faces: Path, tmp_path: Path) -> None:
    """The JSON has one line per model with the figures of the report file; an HTML page is written."""
    out = tmp_path / "report"
    found = records(run("evaluate", faces, "--pairs", faces / "pairs.csv", "--json", "--out", out).stdout)
    (values,) = found
    assert values["model"] == "tiny"
    assert values["pairs"] == {"all": 8, "used": 8, "same": 4, "different": 4, "left_out": 0}
    assert values["squared_l2"]["area"] == 1  # another brightness is nearer than the mirror image, even for this model
    written = json.loads((out / "evaluation.json").read_text())
    scores = values["squared_l2"]
    assert written["models"][0]["squared_l2"]["accuracy"] == scores["accuracy"]
    assert written["models"][0]["squared_l2"]["threshold"] == scores["threshold_value"]
    assert written["pairs"] == values["pairs"]
    assert (out / "report.html").read_text().startswith("<!doctype html>")


def test_table_has_a_row_per_model(run: Run, faces: Path, models: Path, tmp_path: Path) -> None:
    """The table has a row per model and precision, with speed if requested."""
    other = write_tiny_model(tmp_path / "more", "other", size=16)
    arguments = ("evaluate", faces, "--pairs", faces / "pairs.csv", "--model", "tiny", "--model", other.path)
    lines = run(*arguments, "--speed").stdout.splitlines()
    assert lines[0].split()[:3] == ["model", "precision", "FTA"]
    assert [line.split()[0] for line in lines[1:3]] == ["tiny", "other"]
    assert lines[3].split()[:3] == ["model", "precision", "dimensions"]
    assert lines[3].endswith("16 at once")
    assert [line.split()[0] for line in lines[4:6]] == ["tiny", "other"]
    assert lines[6].startswith("8 pairs (4 of one person, 4 of two), 4 folds")
    both = run("evaluate", faces, "--pairs", faces / "pairs.csv", "--precision", "auto", "--precision", "float32")
    assert [line.split()[0] for line in both.stdout.splitlines()[1:3]] == ["tiny"] * 2
    assert both.stdout.splitlines()[2].split()[1] == "float32"
    everything = run("evaluate", faces, "--pairs", faces / "pairs.csv", "--all", "--json").stdout
    assert [record["model"] for record in records(everything)] == ["tiny"]


def test_the_detector_can_be_chosen(run: Run, faces: Path, tmp_path: Path) -> None:
    """A detector that finds nothing leaves all pairs out; an unknown one is an error that lists the known ones."""
    (tmp_path / "net.onnx").write_bytes(yunet_file(6))
    run("models", "import", tmp_path / "net.onnx")
    arguments = ("evaluate", faces, "--pairs", faces / "pairs.csv", "--detector")
    assert "available are mtcnn, net" in run(*arguments, "other", exit_code=1).stderr
    assert "of 8 pairs, 8 cannot be used" in run(*arguments, "net", exit_code=1).stderr
    assert run(*arguments, "mtcnn").stdout == run(*arguments[:-1]).stdout


def test_left_out_pairs_are_reported(run: Run, faces: Path) -> None:
    """Every image without a vector is listed on stderr; the pairs left out are counted."""
    (faces / "3.png").unlink()
    (faces / "2-mirror.png").write_bytes(b"")
    result = run("evaluate", faces, "--pairs", faces / "pairs.csv", "--json", "--quiet")
    (values,) = records(result.stdout)
    assert values["pairs"]["left_out"] == 4
    assert {(Path(p["path"]).name, p["problem"]) for p in values["unusable"]} == {
        ("3.png", "missing"),
        ("2-mirror.png", "unreadable"),
    }
    assert "3.png: no such file" in result.stderr
    assert "4 pairs left out, 2 images without a face vector" in result.stderr
    assert "counted as wrong" in run("evaluate", faces, "--pairs", faces / "pairs.csv").stdout


def test_mistakes(run: Run, faces: Path, tmp_path: Path) -> None:
    """One-line errors, exit code 1: no list, an invalid line, one kind of pairs only, no place for the report."""
    listed = faces / "pairs.csv"

    def complaint(*arguments: str | Path) -> str:
        result = run("evaluate", *arguments, exit_code=1)
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    assert "contains no pairs.txt; give a list of pairs with --pairs FILE" in complaint(faces)
    assert "no model 'none'" in complaint(faces, "--pairs", listed, "--model", "none")
    assert "exclude each other" in complaint(faces, "--pairs", listed, "--model", "tiny", "--all")
    (tmp_path / "file").touch()
    assert "cannot be created" in complaint(faces, "--pairs", listed, "--out", tmp_path / "file" / "report")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("0.png,1.png,1\n0.png,1.png\n")
    assert "wrong.csv:2: expected path,path,same" in complaint(faces, "--pairs", wrong)
    wrong.write_text("0.png,1.png,1\n1.png,2.png,1\n")
    assert "0 pairs of two people; expected 2" in complaint(faces, "--pairs", wrong)


def test_standard_error_rates(run: Run, faces: Path) -> None:
    """The table and the JSON have FTA, EER and the FNMR at three false match rates."""
    arguments = ("evaluate", faces, "--pairs", faces / "pairs.csv")
    heading = run(*arguments).stdout.splitlines()[0].split()
    assert heading == ["model", "precision", "FTA", "EER", "FMR100", "FMR1000", "FMR10000"]
    (values,) = records(run(*arguments, "--json").stdout)
    rates = values["verification"]
    assert rates["eer"] == 0
    assert [point["name"] for point in rates["operating_points"]] == ["FMR100", "FMR1000", "FMR10000"]
    assert {point["supported"] for point in rates["operating_points"]} == {False}
    assert rates["det"]["fmr"][-1] == 1


def test_other_protocols(run: Run, faces: Path, tmp_path: Path) -> None:
    """A .bin file holds list and images; without CFP's folders the error says what is expected."""
    (tmp_path / "lfw.bin").write_bytes(b"no pickle")
    assert "expected insightface's form" in run("evaluate", tmp_path / "lfw.bin", exit_code=1).stderr
    complaint = run("evaluate", faces, "--protocol", "cfp-fp", exit_code=1).stderr
    assert "Pair_list_F.txt: cannot be read" in complaint
    assert complaint.count("\n") == 1


def test_groups_properties_and_comparisons(run: Run, faces: Path, tmp_path: Path) -> None:
    """Rates per group and their ratio, rates by size, and a report compared with itself are printed."""
    listed = ["first,second,same"]
    for number in range(4):
        listed += [f"{number}.png,{other}.png,1" for other in range(4) if other != number] * 2
        listed += [f"{number}.png,{other}-mirror.png,0" for other in range(4)] * 2
    (faces / "many.csv").write_text("\n".join(listed))
    groups = tmp_path / "groups.csv"
    groups.write_text(
        "\n".join(f"{n}{kind}.png,{'light' if n > 1 else 'dark'}" for n in range(4) for kind in ("", "-mirror"))
    )
    arguments = ("evaluate", faces, "--pairs", faces / "many.csv", "--groups", groups, "--by", "size")
    out = tmp_path / "report"
    (values,) = records(run(*arguments, "--json", "--out", out).stdout)
    assert [part["by"] for part in values["parts"]] == ["group", "size"]
    assert [part["name"] for part in values["parts"][0]["parts"]] == ["dark", "light"]
    assert "distances" not in values
    text = run(*arguments, "--compare", out).stdout
    assert "FMR, worst to best group" in text
    assert "no significant difference; McNemar 0 to 0, p 1.000" in text
    assert "By group" in (out / "report.html").read_text()


def test_open_set_has_options_of_its_own(run: Run, faces: Path, tmp_path: Path) -> None:
    """Options of pairs are refused with the open-set protocol."""
    complaint = run("evaluate", faces, "--protocol", "open-set", "--subtract-mean", exit_code=1).stderr
    assert "--pairs and --subtract-mean: not with --protocol open-set" in complaint


@pytest.fixture
def people(astronaut: Image, tmp_path: Path) -> Path:
    """Return a folder of 14 "people" (brightness variants), four of them with two images."""
    folder = tmp_path / "people"
    for person in range(14):
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(2 if person < 4 else 1):
            light = np.clip(astronaut[:300, 100:400] * (0.5 + 0.03 * person + 0.01 * number), 0, 255).astype(np.uint8)
            PillowImage.fromarray(light).save(folder / f"p{person}" / f"{number}.png")
    return folder


def test_open_set_by_group_and_factor(run: Run, people: Path, tmp_path: Path) -> None:
    """Open-set rates per group and factor, with speed, are in the table, the JSON and the report."""
    groups = tmp_path / "groups.csv"
    groups.write_text("person,group\n" + "".join(f"p{n},{'even' if n % 2 == 0 else 'odd'}\n" for n in range(14)))
    arguments = ("evaluate", people, "--protocol", "open-set", "--people", 4, "--repeat", 2)
    added = ("--groups", groups, "--by", "size", "--by", "blur", "--speed", "--out", tmp_path / "report")
    text = run(*arguments, *added).stdout
    assert "16 at once" in text
    assert "FNIR, worst to best group" in text
    assert "FPIR, worst to best group" in text
    page = (tmp_path / "report" / "report.html").read_text()
    assert "By group" in page
    assert "By blur" in page
    (values,) = records(run(*arguments, *added, "--json").stdout)
    assert [part["by"] for part in values["parts"]] == ["group", "size", "blur"]
    assert [part["strangers"] for part in values["parts"][0]["parts"]] == [5, 5]
    assert values["faces_per_second"]["batch"] > 0


def test_open_set_reports_are_compared(run: Run, people: Path, tmp_path: Path) -> None:
    """An open-set report with two images per person can be compared with itself."""
    arguments = ("evaluate", people, "--protocol", "open-set", "--people", 4, "--repeat", 2)
    out = tmp_path / "report"
    run(*arguments, "--out", out)
    assert "Worst searches" in (out / "report.html").read_text()
    text = run(*arguments, "--compare", out).stdout
    assert "compared with tiny on 8 searches" in text
    assert "no significant difference" in text
