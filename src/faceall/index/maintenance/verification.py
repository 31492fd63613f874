"""Verify, measure and back up an index without changing it."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from faceall.errors import IndexDamagedError, IndexFileError
from faceall.files import new_folder
from faceall.index.checks import LONGEST
from faceall.index.graph import graph_file
from faceall.index.graph.hnsw_elements import Elements, read_elements
from faceall.index.graph.projection import Projection
from faceall.index.storage import rows, schema
from faceall.index.storage.connection import DATABASE, translated
from faceall.index.storage.stored import as_measured

if TYPE_CHECKING:
    from faceall.index.face_index import FaceIndex

GraphState = Literal["none", "current", "behind", "damaged"]

SAMPLE = 200
_NEIGHBOURS = 10
_SAME = 1e-6
_ROUNDING = 10  # factor on that for projected vectors
_UNIT = 1e-2  # tolerance of the length of a unit vector
_MOST = 0.9  # share of unit vectors above which all should have unit length


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes
    ----------
    problems : tuple of str
        One line per problem; empty for a sound index.
    vectors : int
        Number of vectors.
    graph : {"none", "current", "behind", "damaged"}
        "none": there is no graph file; "current": it contains exactly the vectors; "behind": vectors were added or
        removed since it was saved, which is normal; "damaged": it is rebuilt at the next save.
    recall : float or None
        The share of the nearest `neighbours` of `sample` stored vectors that `search` finds; None without vectors.
    sample : int
        Number of searches.
    neighbours : int
        Number of neighbours per search.
    shortfall : str or None
        A message if the graph does not reach the wanted recall.
    """

    problems: tuple[str, ...]
    vectors: int
    graph: GraphState
    recall: float | None
    sample: int
    neighbours: int = _NEIGHBOURS
    shortfall: str | None = None


@dataclass(frozen=True)
class Statistics:
    """Counts and sizes of an index, in bytes.

    Attributes
    ----------
    vectors, dimension, metric, model
        As in `FaceIndex`.
    database, graph : int
        Bytes of the database with its log, and of the graph file.
    free : int
        Bytes of the database that `compact` releases.
    payload : int
        Bytes of the vectors alone.
    links, build_effort : int or None
        hnswlib's M and ef_construction of the graph file, None without one.
    effort, recall : int, float or None
        hnswlib's ef measured for the graph and the recall it reached, None before the measurement.
    tombstones : int
        Removed vectors in the graph, whose values are overwritten.
    shortfall : str or None
        A message if the graph does not reach the wanted recall.
    projected : int or None
        Dimensions of the projected vectors of the graph; None if it has the vectors as they are, or there is none.
    """

    vectors: int
    dimension: int | None
    metric: str
    model: str | None
    database: int
    free: int
    payload: int
    graph: int
    links: int | None
    build_effort: int | None
    effort: int | None
    recall: float | None
    tombstones: int
    shortfall: str | None = None
    projected: int | None = None


def verify(index: FaceIndex, *, sample: int = SAMPLE) -> Verification:
    """Check the database, compare the graph file with the rows, and measure the recall of searches.

    Parameters
    ----------
    index : FaceIndex
        The index.
    sample : int
        Number of stored vectors to search for; the results are compared with exact search.

    Returns
    -------
    Verification
        The problems and the recall.
    """
    with index.reading() as connection, translated(index.name):
        settings = schema.read(connection, index.name)
        problems = database_problems(connection)
        problems += rows.problems(connection, settings.dimension)
        count = rows.count(connection)
        problems += [] if problems else _odd_vectors(connection, settings)
        state, wrong = ("none", []) if problems else _graph_state(index, connection, settings)
        shortfall = None if index.folder is None or state == "damaged" else graph_file.shortfall(index.folder)
    recall, asked = (None, 0) if problems else _recall(index, sample)
    return Verification(tuple(dict.fromkeys([*problems, *wrong])), count, state, recall, asked, shortfall=shortfall)


def database_problems(connection: sqlite3.Connection) -> list[str]:
    """Run the integrity checks of SQLite; return one line per problem."""
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)").fetchall() if row[0] != "ok"]
        broken = connection.execute("PRAGMA foreign_key_check").fetchmany(20)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return [f"{DATABASE}: {' '.join(str(error).split())}"]
    lines = [" ".join(str(text).split()) for text in found]
    lines += [f"table {row[0]}: row {row[1]} refers to a missing row of {row[2]}" for row in broken]
    return [f"{DATABASE}: {line}" for line in lines]


def odd_keys(connection: sqlite3.Connection, dimension: int | None, *, unit: bool = False) -> list[int]:
    """Return the keys of invalid vectors: not finite or too long.

    Parameters
    ----------
    connection : sqlite3.Connection
        The database.
    dimension : int or None
        Length of a vector.
    unit : bool
        If nearly all vectors have unit length, include those of another length.

    Returns
    -------
    list of int
        The keys.
    """
    if dimension is None:
        return []
    lengths: dict[int, float] = {}
    for key, data in connection.execute("SELECT key, vector FROM vectors"):
        if isinstance(data, bytes) and len(data) == 4 * dimension:
            with np.errstate(over="ignore", invalid="ignore"):
                lengths[key] = float(np.linalg.norm(np.frombuffer(data, "<f4").astype(np.float64)))
        else:
            lengths[key] = math.nan
    unit = unit and sum(abs(length - 1) < _UNIT for length in lengths.values()) > _MOST * len(lengths)
    return [
        key
        for key, length in lengths.items()
        if not length < LONGEST or (unit and abs(length - 1) >= _UNIT)  # True for NaN
    ]


def _odd_vectors(connection: sqlite3.Connection, settings: schema.Settings) -> list[str]:
    odd = len(odd_keys(connection, settings.dimension))
    return [f"{DATABASE}: {odd} vectors have a value that is not finite"] if odd else []


def _graph_state(
    index: FaceIndex, connection: sqlite3.Connection, settings: schema.Settings
) -> tuple[GraphState, list[str]]:
    """Compare the graph file with the rows of this snapshot."""
    folder = index.folder
    if folder is None or settings.graph is None:
        return "none", []
    with graph_file.scratch_file(folder) as (_, file):
        verified = graph_file.unpack_verified(folder, settings.graph, file)
        if verified is None:
            return "damaged", [f"{graph_file.GRAPH} is missing or has another checksum than when it was saved"]
        try:
            elements = read_elements(file, graph_file.GRAPH)
        except IndexDamagedError as error:
            return "damaged", [str(error)]
        header, projection = verified
        wrong = _graph_against_rows(elements, projection, connection, settings, header.generation, index.name)
    if wrong:
        return "damaged", wrong
    changed = any(rows.changes_since(connection, header.generation))
    return ("behind" if changed else "current"), []


def _graph_against_rows(
    elements: Elements,
    projection: Projection | None,
    connection: sqlite3.Connection,
    settings: schema.Settings,
    generation: int,
    name: str,
) -> list[str]:
    """Check that the graph contains exactly the vectors of its generation."""
    assert settings.dimension is not None
    live = np.flatnonzero(~elements.removed)
    labels = elements.labels[live].astype(np.int64)
    order = np.argsort(labels)
    labels, places = labels[order], live[order]
    went = set(rows.removed_since(connection, generation).tolist())
    newer = {row[0] for row in connection.execute("SELECT key FROM vectors WHERE added > ?", (generation,))}
    missing = different = seen = 0
    scale = 1.0 if projection is None else _ROUNDING * max(1.0, float(np.abs(elements.vectors).max(initial=0)))
    for block in as_measured(rows.added_since(connection, -1, settings.dimension, name), settings):
        old = np.array([key not in newer for key in block.keys.tolist()], bool)
        keys, vectors = block.keys[old], block.vectors[old]
        place = np.minimum(np.searchsorted(labels, keys), max(len(labels) - 1, 0))
        there = labels[place] == keys if len(labels) else np.zeros(len(keys), bool)
        missing += int((~there).sum())
        seen += int(there.sum())
        expected = vectors if projection is None else projection(vectors)
        held = elements.vectors[places[place[there]]] if there.any() else expected[:0]
        different += int((np.abs(held - expected[there]).max(axis=1, initial=0) > _SAME * scale).sum())
    foreign = len(labels) - seen - len(went)
    counted = (
        (missing, "vectors are missing in"),
        (different, "vectors differ in"),
        (foreign, "unknown vectors are in"),
    )
    return [f"{number} {what} {graph_file.GRAPH}" for number, what in counted if number > 0]


def _recall(index: FaceIndex, sample: int) -> tuple[float | None, int]:
    keys = index.keys()
    if not len(keys):
        return None, 0
    chosen = np.random.default_rng(0).choice(keys, min(sample, len(keys)), replace=False)
    queries = np.stack([index[int(key)] for key in chosen])
    k = min(_NEIGHBOURS, len(keys))
    found, truth = index.search(queries, k), index.search(queries, k, exact=True)
    farthest = truth.distances[:, -1:] * (1 + 1e-5) + 1e-9  # others may have the same distance
    return float((found.distances <= farthest).mean()), len(queries)


def statistics(index: FaceIndex) -> Statistics:
    """Count the vectors and the bytes on the disk."""
    with index.reading() as connection:
        settings = schema.read(connection, index.name)
        count = rows.count(connection)
        page, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
        payload = connection.execute("SELECT coalesce(sum(length(vector)), 0) FROM vectors").fetchone()[0]
        links = build_effort = effort = recall = reduced = None
        tombstones, shortfall = 0, None
        if index.folder is not None and settings.graph is not None:
            with graph_file.scratch_file(index.folder) as (_, file):
                verified = graph_file.unpack_verified(index.folder, settings.graph, file)
                if verified is not None:
                    header, elements = verified[0], read_elements(file, graph_file.GRAPH)
                    reduced = header.reduced
                    links, build_effort = elements.links, elements.build_effort
                    tombstones = int(elements.removed.sum())
                    tuning = header.tuning
                    effort, recall = (tuning.effort, tuning.reached) if tuning else (None, None)
                    shortfall = tuning.shortfall if tuning else None
    sizes = file_sizes(index.folder)
    return Statistics(
        vectors=count,
        dimension=settings.dimension,
        metric=settings.metric,
        model=settings.model,
        database=sizes[0],
        free=page * free,
        payload=payload,
        graph=sizes[1],
        links=links,
        build_effort=build_effort,
        effort=effort,
        recall=recall,
        tombstones=tombstones,
        shortfall=shortfall,
        projected=reduced,
    )


def file_sizes(folder: Path | None) -> tuple[int, int]:
    """Return the bytes of the database with its log, and of the graph file."""
    if folder is None:
        return 0, 0
    names = ((DATABASE, f"{DATABASE}-wal"), (graph_file.GRAPH,))
    database, graph = (
        sum(path.stat().st_size for path in (folder / name for name in group) if path.exists()) for group in names
    )
    return database, graph


def backup(index: FaceIndex, target: Path, *, beside: Sequence[str] = ()) -> int:
    """Copy a snapshot of the index into a new folder while others read and write.

    The copy is checked; it is complete, or nothing is written.

    Parameters
    ----------
    index : FaceIndex
        The index.
    target : Path
        A new or empty folder.
    beside : sequence of str
        Folders inside the index's folder that are copied too, without hidden files.

    Returns
    -------
    int
        Bytes of the copy.

    Raises
    ------
    IndexFileError
        If `target` exists already or cannot be written.
    IndexDamagedError
        If the index is damaged.
    """
    try:
        with new_folder(target, mode=0o700) as draft:
            _copy(index, draft)
            for source in (index.folder / name for name in beside) if index.folder else ():
                _copy_files(source, draft / source.name)
    except FileExistsError as error:
        raise IndexFileError(f"{target}: exists already; a backup needs a new or empty folder") from error
    except OSError as error:
        raise IndexFileError(f"{target}: cannot be written ({error.strerror})") from error
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _copy_files(source: Path, target: Path) -> None:
    """Copy the files below a folder; files that disappear in the meantime are skipped."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if any(part.startswith(".") for part in path.relative_to(source).parts) or not path.is_file():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, place)
        except FileNotFoundError:
            place.unlink(missing_ok=True)


def _copy(index: FaceIndex, draft: Path) -> None:
    with index.reading() as connection, translated(str(draft)):
        digest = schema.read(connection, index.name).graph
        with closing(sqlite3.connect(draft / DATABASE)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # a single file; the log is enabled again when it is opened
            problems = database_problems(copy)
            copy.execute("PRAGMA journal_mode = WAL")
    if problems:
        raise IndexDamagedError(f"{index.name}: is damaged, so it was not copied: {problems[0]}")
    source = index.folder
    if source is not None and digest is not None and graph_file.digest(source) == digest:
        shutil.copyfile(source / graph_file.GRAPH, draft / graph_file.GRAPH)  # a cache, verified when it is loaded
