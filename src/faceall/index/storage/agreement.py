"""An index knows its embedder: what a folder says it holds against what the caller is going to put there."""

from __future__ import annotations

from faceall.errors import IndexMismatchError
from faceall.index.storage import rows, schema
from faceall.index.storage.database import Storage


def agree(storage: Storage, *, dimension: int | None, metric: str | None, model: str | None) -> None:
    """Refuse an index of another embedder or metric; tell an empty one what it will hold. None: no opinion."""
    with storage.reading() as connection:
        found = schema.read(connection, storage.name)
        news = _news(storage.name, found, dimension, metric, model, used=rows.next_key(connection) > 1)
    if not news or storage.read_only:
        return
    with storage.transaction() as connection:  # look again: another process may have written meanwhile
        found = schema.read(connection, storage.name)
        schema.write(
            connection,
            **_news(storage.name, found, dimension, metric, model, used=rows.next_key(connection) > 1),
        )


def mismatch(name: str, found: schema.Settings, dimension: int | None, model: str | None = None) -> IndexMismatchError:
    """The error of vectors that another embedder made: what the index holds, what was brought, what to do."""
    made = f"was made with {found.model!r}" if found.model else "was made without naming its embedder"
    size = f" ({found.dimension} dimensions)" if found.dimension else ""
    who = f"this embedder, {model!r}," if model and model != found.model else "this embedder"
    does = f"makes {dimension}" if dimension else "is another one"
    return IndexMismatchError(f"{name} {made}{size}; {who} {does}: give that model or another folder")


def _news(
    name: str, found: schema.Settings, dimension: int | None, metric: str | None, model: str | None, *, used: bool
) -> dict[str, object]:
    """What an index does not know yet; `used` when it has ever held a vector."""
    if dimension is not None and found.dimension not in (None, dimension):
        raise mismatch(name, found, dimension, model)
    if model is not None and found.model != model and (used or found.model is not None):
        raise mismatch(name, found, dimension, model)
    if metric is not None and found.metric != metric and (used or found.dimension is not None):
        raise IndexMismatchError(f"{name} measures distances by {found.metric!r}, not by {metric!r}")
    given = {"dimension": dimension, "metric": metric, "model": model}
    known = {"dimension": found.dimension, "metric": found.metric, "model": found.model}
    return {key: value for key, value in given.items() if value is not None and value != known[key]}
