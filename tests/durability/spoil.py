"""Damaged galleries and bundles, each a number: the same number makes the same one. What they are used for, and judged.

Usage: python spoil.py FOLDER CASES [SEED [KIND ...]]; prints a row per kind, and every case that broke.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from inspect import unwrap
from pathlib import Path
from typing import Literal

sys.path[:0] = [str(Path(__file__).parent.parent / room) for room in ("gallery", "fuzz")]

import hnswlib  # noqa: E402, F401 - now, not in every case
import numpy as np  # noqa: E402 - after the folders of the stand-ins and of the judge
from fuzz_damage import damaged  # noqa: E402
from fuzz_judge import Verdict, judge  # noqa: E402
from stand_ins import ColourDetector, ColourEmbedder  # noqa: E402

from faceall.analysis.analyser import label_of  # noqa: E402
from faceall.errors import FaceallError, IndexNewerError  # noqa: E402
from faceall.gallery import Gallery, repair_gallery  # noqa: E402
from faceall.index import FaceIndex, GraphOptions  # noqa: E402
from faceall.index.graph import graph_file  # noqa: E402
from faceall.types import Float32Array  # noqa: E402

FACES, SIZE, LIMIT = 300, 64, 100
QUESTIONS = 20
Vectors = Literal["float32", "projected"]
Spoiler = Callable[[Path, "Material", random.Random], None]


@dataclass(frozen=True)
class Material:
    """Sound galleries to spoil: one at rest, the same with a log that was not taken over, others to swap with."""

    rest: Path
    busy: Path
    other: Path
    alien: Path
    questions: Float32Array
    nearest: list[int]

    @property
    def size(self) -> int:
        """Bytes of the gallery's files."""
        return sum(path.stat().st_size for path in self.rest.iterdir())


def make(folder: Path, vectors: Vectors = "float32") -> Material:
    """Make the material, with a graph of whole or projected vectors; the same every time but for the ids."""
    chance = np.random.default_rng(5)
    rest = _gallery(folder / "rest", chance, FACES, SIZE, vectors)
    other = _gallery(folder / "other", chance, FACES // 2, SIZE, vectors)
    alien = _gallery(folder / "alien", chance, FACES // 2, SIZE // 2, vectors)
    busy = folder / "busy"
    with _opened(rest) as gallery:
        questions = np.asarray(chance.normal(size=(QUESTIONS, SIZE)), np.float32)
        nearest = gallery._index.search(questions, 1, exact=True).keys[:, 0].tolist()
        gallery.index.export_folder(folder / "folder")
    shutil.copytree(rest, folder / "draft")
    with _opened(folder / "draft") as gallery:  # its log is not empty as long as it is open
        gallery.faces.unassign([face.face_id for face in gallery.faces.find()[:200]])
        shutil.copytree(folder / "draft", busy)
    return Material(rest, busy, other, alien, questions, nearest)


def _gallery(folder: Path, chance: np.random.Generator, faces: int, size: int, vectors: Vectors) -> Path:
    source = folder.with_suffix(".npy")
    made = chance.normal(size=(faces, size))
    if vectors == "projected":
        made[:, size // 4 :] = 0  # a subspace that can be projected to
    np.save(source, made.astype(np.float32))
    with _opened(folder, vectors) as gallery:
        gallery.index.import_vectors(source, made_by=label_of(ColourEmbedder(size=size).model))
        gallery._index.save()
    assert graph_file.kind(folder) == vectors
    return folder


def _opened(folder: Path, vectors: Vectors | Literal["auto"] = "auto", **options: bool) -> Gallery:
    assert unwrap(FaceIndex.__init__).__kwdefaults__ is not None
    graph = GraphOptions(threads=1, recall=0.9, vectors=vectors)
    unwrap(FaceIndex.__init__).__kwdefaults__.update(exact_limit=LIMIT, options=graph)
    return Gallery.open(folder, detector=ColourDetector(), embedder=ColourEmbedder(size=SIZE), **options)


# -- kinds of damage --------------------------------------------------------------------------------------------------


def spoil_file(name: str, source: str = "rest") -> Spoiler:
    """Cut, flip, overwrite or splice one file."""

    def spoil(folder: Path, material: Material, chance: random.Random) -> None:
        shutil.copytree(getattr(material, source), folder, dirs_exist_ok=True)
        path = folder / name
        path.write_bytes(damaged(path.read_bytes(), chance))

    return spoil


def swap_file(name: str, source: str = "rest") -> Spoiler:
    """Put the file of another gallery, or of one with another model, in its place; or of a random one nothing."""

    def spoil(folder: Path, material: Material, chance: random.Random) -> None:
        shutil.copytree(getattr(material, source), folder, dirs_exist_ok=True)
        kind = chance.randrange(4)
        if kind == 3:
            (folder / name).unlink()
            return
        giver = (material.other, material.alien, material.busy if source == "rest" else material.rest)[kind]
        if (giver / name).exists():
            shutil.copyfile(giver / name, folder / name)
        else:
            (folder / name).write_bytes(chance.randbytes(chance.randrange(100_000)))

    return spoil


def spoil_pages(folder: Path, material: Material, chance: random.Random) -> None:
    """Pages of the database exchanged, doubled or emptied, as a confused disk does."""
    shutil.copytree(material.rest, folder, dirs_exist_ok=True)
    path = folder / "faces.db"
    data, size = bytearray(path.read_bytes()), 8192
    for _ in range(chance.randint(1, 4)):
        here, there = (size * chance.randrange(len(data) // size) for _ in range(2))
        page = bytes(data[there : there + size])
        data[here : here + size] = chance.choice((page, bytes(size), chance.randbytes(size)))
    path.write_bytes(data)


def make_newer(folder: Path, material: Material, chance: random.Random) -> None:
    """Written by a faceall to come: the database, the gallery's tables or the graph file say so."""
    shutil.copytree(material.rest, folder, dirs_exist_ok=True)
    place = chance.randrange(3)
    version = chance.randint(2, 1 << 30)
    if place == 2:
        path = folder / graph_file.GRAPH
        data = bytearray(path.read_bytes())
        data[8:12] = struct.pack("<I", version + 1)
        path.write_bytes(data)
        return
    with closing(sqlite3.connect(folder / "faces.db")) as connection, connection:
        if place:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'gallery.schema'", (version,))
        else:
            connection.execute(f"PRAGMA user_version = {version}")


_ODD = (0, 1, 2, 7, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
_HEAD = struct.Struct("=6QiI3QdQ")  # of hnswlib


def make_hostile(folder: Path, material: Material, chance: random.Random) -> None:
    """A graph file whose header of hnswlib lies, with the right checksum; mostly the database knows that one, too."""
    shutil.copytree(material.rest, folder, dirs_exist_ok=True)
    path = folder / graph_file.GRAPH
    with path.open("rb") as file:
        head = graph_file._Head.read(file)
        assert head is not None
        axes = file.read(4 * head.header.dimension * (head.header.reduced or 0))
        graph = bytearray(file.read())
    fields = list(_HEAD.unpack_from(graph))
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(fields))
        honest = 0 if place == 11 else int(fields[place])  # the only one that is no whole number
        odd = chance.choice((*_ODD, honest + 1, max(0, honest - 1), honest * 2)) % (1 << 64)
        if place == 6:
            fields[place] = odd % (1 << 31)
        elif place == 7:
            fields[place] = odd % (1 << 32)
        elif place == 11:
            fields[place] = chance.choice((0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-300))
        else:
            fields[place] = odd
    _HEAD.pack_into(graph, 0, *fields)
    if chance.random() < 0.2:
        del graph[chance.randrange(_HEAD.size, len(graph)) :]
    digest = hashlib.sha256(head.fields + axes + graph).digest()
    path.write_bytes(head.fields + digest + axes + graph)
    if chance.random() < 0.8:
        with closing(sqlite3.connect(folder / "faces.db")) as connection, connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'index.graph'", (digest,))


def spoil_export(folder: Path, material: Material, chance: random.Random) -> None:
    """One file of an exported folder damaged; mostly with the right checksum in index.json."""
    shutil.copytree(material.rest.parent / "folder", folder / "folder")
    name = chance.choice(("index.json", "vectors.npy", "faces.jsonl", "people.json", "thumbnails.bin"))
    path = folder / "folder" / name
    path.write_bytes(damaged(path.read_bytes(), chance))
    if name != "index.json" and chance.random() < 0.7:
        head = json.loads((folder / "folder" / "index.json").read_text())
        head["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / "folder" / "index.json").write_text(json.dumps(head))


# -- what a case is used for -------------------------------------------------------------------------------------------


def use_gallery(folder: Path, material: Material, *, exactly: bool) -> str:
    """Read it as a user does, write to it, and repair it where that is what the error says; in a word what came of it.

    exactly  the vectors are whole, so answers have to be the right ones
    """
    try:
        _read(folder, material, exactly=exactly)
        _write(folder, material, exactly=exactly)
    except IndexNewerError:
        return "newer"
    except FaceallError as error:
        _check_line(error)
        return _repaired(folder)
    return "usable"


def _read(folder: Path, material: Material, *, exactly: bool) -> None:
    with _opened(folder, read_only=True) as gallery:
        len(gallery), list(gallery.people), gallery.status(), gallery.index.statistics()
        for face in gallery.faces.find()[:5]:
            gallery.faces.thumbnail(face.face_id)
        for _ in range(2):  # compared with the vectors in the graph file at first, then the graph is loaded
            _ask(gallery, material, exactly=exactly)
        gallery.index.verify()


def _write(folder: Path, material: Material, *, exactly: bool) -> None:
    with _opened(folder) as gallery:
        _ask(gallery, material, exactly=exactly)
        (face, *_) = gallery.faces.find() or [None]
        if face is not None:
            gallery.faces.assign(face.face_id, "Ada")
            assert (gallery.faces.remove([face.face_id]).receipt or gallery._index.receipt()).complete


def _ask(gallery: Gallery, material: Material, *, exactly: bool) -> None:
    if gallery._index.dimension != SIZE:
        return
    found = gallery._index.search(material.questions, 1, ef=FACES).keys[:, 0]
    assert not exactly or len(gallery) < FACES or found.tolist() == material.nearest


def _repaired(folder: Path) -> str:
    """What `faceall index repair` makes of it; a repaired gallery is sound."""
    try:
        repair_gallery(folder)
    except FaceallError as error:
        _check_line(error)
        return "refused"
    with _opened(folder) as gallery:
        problems = gallery.index.verify().problems
    assert not problems, problems
    return "repaired"


def _check_line(error: FaceallError) -> None:
    text = str(error)
    assert text.isprintable(), text
    assert 10 < len(text) < 1000, text


def use_export(folder: Path, material: Material) -> str:
    """Import it into a gallery; that is sound afterwards, and unchanged where the import was refused."""
    with _opened(folder / "gallery") as gallery:
        try:
            gallery.index.import_vectors(folder / "folder")
            word = "usable"
        except FaceallError as error:
            _check_line(error)
            assert len(gallery) == 0
            word = "refused"
        assert gallery.index.problems() == []
        return word


@dataclass(frozen=True)
class Kind:
    """A way to spoil, and whether the vectors are untouched by it."""

    spoil: Spoiler
    exactly: bool = False


KINDS = {
    "database": Kind(spoil_file("faces.db")),
    "pages": Kind(spoil_pages),
    "log": Kind(spoil_file("faces.db-wal", "busy")),
    "graph": Kind(spoil_file("faces.hnsw"), exactly=True),
    "hostile graph": Kind(make_hostile, exactly=True),
    "swapped database": Kind(swap_file("faces.db")),
    "swapped log": Kind(swap_file("faces.db-wal", "busy")),
    "swapped graph": Kind(swap_file("faces.hnsw"), exactly=True),
    "newer": Kind(make_newer, exactly=True),
    "export": Kind(spoil_export),
}


def use(name: str, folder: Path, material: Material) -> None:
    """Use a case in the process that is judged, and leave a word about it in the folder above."""
    if name == "export":
        word = use_export(folder, material)
    else:
        word = use_gallery(folder, material, exactly=KINDS[name].exactly)
    folder.with_suffix(".word").write_text(word)


CACHES = 8 << 20
"""Bytes that SQLite keeps of pages for itself, whatever it reads: 2 MiB for each connection, and repair has four."""


def run(name: str, seeds: range, material: Material) -> tuple[Counter[str], int, list[str]]:
    """How the cases of a kind ended, the most memory in bytes above an idle process, and what broke."""
    idle = judge(lambda: None).memory
    words: Counter[str] = Counter()
    most, broken = 0, []
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="faceall-spoil-", dir=material.rest.parent) as place:
            folder = Path(place) / "case"
            folder.mkdir()
            KINDS[name].spoil(folder, material, random.Random(f"{name} {seed}"))
            verdict: Verdict = judge(lambda folder=folder: use(name, folder, material))  # type: ignore[misc]
            word = folder.with_suffix(".word")
            words[word.read_text() if word.exists() else verdict.outcome] += 1
            most = max(most, verdict.memory - idle)
            if verdict.outcome != "fine":
                broken.append(f"{name} {seed}: {verdict.text}")
    return words, most, broken


def main() -> None:
    """Run all kinds, and print a table."""
    place, count, *others = sys.argv[1:]
    first = int(others[0]) if others else 0
    folder = Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    material = make(folder)
    seeds = range(first, first + max(1, int(count) // len(KINDS)))
    idle = judge(lambda: None).memory
    (folder / "sound").mkdir()
    shutil.copytree(material.rest, folder / "sound" / "case")
    sound = judge(lambda: use("graph", folder / "sound" / "case", material))
    assert sound.outcome == "fine", sound.text
    print(json.dumps({"size": material.size, "idle": idle, "sound": sound.memory - idle}), flush=True)
    broke = 0
    for name in others[1:] or KINDS:
        words, most, broken = run(name, seeds, material)
        print(json.dumps({"kind": name, "cases": len(seeds), **words, "most": most, "broke": broken}), flush=True)
        broke += len(broken)
    raise SystemExit(min(broke, 1))


if __name__ == "__main__":
    main()
