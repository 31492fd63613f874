"""Every command with --gallery prints the same for a folder and for Milvus, or Milvus refuses it with its reason."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PillowImage

from faceall.types import Image
from faceall_cli.main import main

pytest.importorskip("pymilvus", reason="needs pymilvus: scripts/test-milvus")
pytest.importorskip("milvus_lite", reason="needs milvus-lite: scripts/test-milvus")

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "milvus.md"
DIFFERENT = (
    (r"unnamed \d+", "unnamed"),
    (r"[pf]\d+-[pf]\d+", "SUGGESTION"),
    (r"\b\d[\d,.]*", "N"),
    (r" \(.* erased; .*\)$", ""),  # the receipt of a removal
    (r"vectors, .*graph.*", "vectors"),
    (r"^graph  .*", "graph"),  # a server has its own
    (r"^(the bin is empty; .*|a gallery in Milvus has no bin: .*)", "no bin"),
    (r"  +", "  "),  # columns are as wide as their numbers
)
"""Patterns of what may differ, and what to compare instead."""


@dataclass(frozen=True)
class Place:
    """A gallery on which commands run, the photos, and a folder for what the commands write."""

    gallery: str
    photos: Path
    out: Path
    environment: Mapping[str, str]

    def run(self, *arguments: object) -> Result:
        """Run a command on the gallery."""
        words = [*map(str, arguments), "--gallery", self.gallery]
        return CliRunner().invoke(main, words, env=self.environment, prog_name="faceall")

    def face(self, person: str) -> str:
        """Return the id of a face of a person."""
        lines = self.run("people", "list", person, "--json").stdout.splitlines()
        return str(min(json.loads(line)["face_id"] for line in lines))

    def suggestion(self) -> str:
        """Return the first suggestion."""
        return str(json.loads(self.run("people", "suggestions", "--json").stdout.splitlines()[0])["id"])


Words = Callable[[Place], list[object]]

COMMANDS: Mapping[str, Words] = {
    "register": lambda p: [p.photos / "known"],
    "watch": lambda p: [p.photos / "no such folder"],  # what it registers is compared as `Gallery.watch`
    "search": lambda p: [p.photos / "known/Eileen/1.png", "--json"],
    "video": lambda p: [p.photos / "known/Eileen/1.png"],
    "photos": lambda p: ["--with", "Eileen"],
    "status": lambda _: [],
    "doctor": lambda _: [],
    "tag": lambda p: [p.photos / "known/Eileen", "--dry-run"],
    "calibrate": lambda _: ["--dry-run"],
    "classifier train": lambda p: [p.out / "people.model"],
    "serve": lambda _: ["--list-keys"],
    "people list": lambda _: ["--sort", "name"],
    "people name": lambda p: [p.face("Mirror"), "Maria"],
    "people rename": lambda _: ["Maria", "Mia"],
    "people history": lambda _: [],
    "people undo": lambda _: [],
    "people merge": lambda _: ["Maria", "Mirror"],
    "people split": lambda p: ["Mirror", p.face("Mirror"), "--to", "Maria"],
    "people unassign": lambda p: [p.face("Maria")],
    "people suggestions": lambda _: ["--limit", "1"],
    "people answer": lambda p: [p.suggestion(), "no"],
    "people unname": lambda _: ["Eileen"],
    "cluster": lambda _: ["--threshold", "0.01"],
    "export-faces": lambda p: [p.out / "faces", "--min-faces", "1"],
    "people details": lambda _: ["Mirror", "--note", "met in 1833"],
    "people hide": lambda _: ["Mirror"],
    "people show": lambda _: ["Mirror"],
    "people discard": lambda _: ["Mirror"],
    "people bin": lambda _: [],
    "people restore": lambda _: ["Mirror"],
    "people erase": lambda _: ["--all"],
    "gallery export": lambda p: [p.out / "one.faceall"],
    "gallery import": lambda p: [p.photos / "one.faceall"],
    "index verify": lambda _: [],
    "index stats": lambda _: [],
    "index compact": lambda _: [],
    "index backup": lambda p: [p.out / "backup"],
    "index export": lambda p: [p.out / "folder"],
    "index import": lambda p: [p.photos / "folder"],
    "index migrate": lambda _: ["--model", "tiny"],
    "index repair": lambda _: [],
    "remove": lambda p: [p.photos / "known/wall.png"],
    "people remove": lambda _: ["Mirror"],
}
"""Every command with --gallery, in the order in which they run, and its arguments."""

REFUSED = frozenset(
    {
        "people details", "people hide", "people discard", "people erase",  "gallery import",
        "index compact", "index backup",  "index import", "index migrate", "index repair",
    }
)  # fmt: skip
"""Commands that Milvus refuses."""


@pytest.fixture(scope="module")
def places(
    astronaut: Image, models: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Place, Place]:
    """The same photos for a gallery in a folder and one in Milvus, and a bundle and a folder to import."""
    base = tmp_path_factory.mktemp("stores")
    photos = base / "photos"
    pixels = {"Eileen/1": astronaut, "Mirror/1": astronaut[:, ::-1], "Mirror/2": astronaut[8:, ::-1]}
    for name, image in {**pixels, "wall": np.zeros((40, 40, 3), np.uint8)}.items():
        path = photos / "known" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(image).save(path)
    settings = {"FACEALL_MODELS": str(models), "FACEALL_CACHE": str(cache), "FACEALL_DATA": str(base / "data")}
    made = []
    for kind, gallery in (("folder", str(base / "gallery")), ("milvus", f"milvus-lite://{base}/gallery.db")):
        (base / kind).mkdir()
        made.append(Place(gallery, photos, base / kind, settings))
    other = Place(str(base / "other"), photos, base, settings)
    for words in (("register", photos / "known"), ("gallery", "export", photos / "one.faceall")):
        assert other.run(*words).exit_code == 0
    assert other.run("index", "export", photos / "folder").exit_code == 0
    return made[0], made[1]


def printed(place: Place, command: str, arguments: list[object]) -> list[str]:
    """Return what a command prints and its exit code, with places in one form and without numbers."""
    result = place.run(*command.split(), *arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    text = result.output.replace(place.gallery, "GALLERY").replace(str(place.out), "OUT")
    for pattern, word in DIFFERENT:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return [f"exit code {result.exit_code}", *text.splitlines()]


def commands_with_a_gallery(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the commands that have an option --gallery."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands_with_a_gallery(inner, (*words, name))
    elif any("--gallery" in option.opts for option in command.params):
        yield " ".join(words)


def test_every_command_is_in_the_table() -> None:
    """A new command with --gallery has to be compared, too."""
    assert set(commands_with_a_gallery(main)) == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_both_stores_print_the_same(places: tuple[Place, Place], command: str) -> None:
    """Output and exit code are equal, but for numbers; a refusal is one line with the way to a folder."""
    folder, milvus = places
    there = printed(milvus, command, COMMANDS[command](milvus))
    if command in REFUSED:
        assert there[0] == "exit code 1"
        assert len(there) == 2
        assert "in a folder" in there[1]
        assert "faceall index move" in there[1]
        return
    here = printed(folder, command, COMMANDS[command](folder))
    assert "\n".join(difflib.unified_diff(there, here, "Milvus", "folder", lineterm="", n=0)) == ""


@pytest.mark.parametrize("command", ["status", "register", "people list"])
def test_server_that_does_not_answer_is_one_line(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The command ends with exit code 1 and one line that says what to check."""
    monkeypatch.setattr("faceall.gallery.milvus.client.CONNECT_TIMEOUT", 1.0)
    away = replace(places[1], gallery="milvus://127.0.0.1:9/faces")
    code, line = printed(away, command, COMMANDS[command](away))
    assert code == "exit code 1"
    assert line.endswith("no server answers there; check host, port and TLS (milvuss://)")


def test_the_guide_lists_what_is_refused() -> None:
    """The rows with "no" of the guide's table name exactly the refused commands."""
    rows = re.findall(r"^\| (.+?) \| no \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`faceall ([a-z -]+?)`", row)}
    assert named == REFUSED
