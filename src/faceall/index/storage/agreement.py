"""Compare the embedder and metric of an index with those of the caller."""

from __future__ import annotations

from faceall.errors import IndexMismatchError
from faceall.index.storage import rows, schema
from faceall.index.storage.database import Storage


def agree(storage: Storage, *, dimension: int | None, metric: str | None, model: str | None) -> None:
    """Check that an index has the caller's embedder and metric, or set them if it is empty.

    Parameters
    ----------
    storage : Storage
        The index.
    dimension, metric, model : optional
        The caller's values; None accepts any.

    Raises
    ------
    IndexMismatchError
        If the index has other values.
    """
    with storage.reading() as connection:
        found = schema.read(connection, storage.name)
        news = _news(storage.name, found, dimension, metric, model, used=rows.next_key(connection) > 1)
    if not news or storage.read_only:
        return
    with storage.transaction() as connection:  # read again, because another process may have written
        found = schema.read(connection, storage.name)
        schema.write(
            connection,
            **_news(storage.name, found, dimension, metric, model, used=rows.next_key(connection) > 1),
        )


def mismatch(name: str, found: schema.Settings, dimension: int | None, model: str | None = None) -> IndexMismatchError:
    """Return the error for vectors of another embedder."""
    made = f"was made with {found.model!r}" if found.model else "was made without naming its embedder"
    size = f" ({found.dimension} dimensions)" if found.dimension else ""
    who = f"this embedder, {model!r}," if model and model != found.model else "this embedder"
    does = f"makes {dimension}" if dimension else "is another one"
    return IndexMismatchError(f"{name} {made}{size}; {who} {does}: use that model or another folder")


def _news(
    name: str, found: schema.Settings, dimension: int | None, metric: str | None, model: str | None, *, used: bool
) -> dict[str, object]:
    """Return the settings that an index does not have yet; `used` if it has ever held a vector."""
    if dimension is not None and found.dimension not in (None, dimension):
        raise mismatch(name, found, dimension, model)
    if model is not None and found.model != model and (used or found.model is not None):
        raise mismatch(name, found, dimension, model)
    if metric is not None and found.metric != metric and (used or found.dimension is not None):
        raise IndexMismatchError(f"{name} measures distances by {found.metric!r}, not by {metric!r}")
    given = {"dimension": dimension, "metric": metric, "model": model}
    known = {"dimension": found.dimension, "metric": found.metric, "model": found.model}
    return {key: value for key, value in given.items() if value is not None and value != known[key]}
