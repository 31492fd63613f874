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
    """Return the error of vectors that another embedder made."""
    text = describe_mismatch(found.model, found.dimension, model, dimension)
    return IndexMismatchError(f"{name} {text}: use that model or another folder")


def describe_mismatch(found: str | None, found_dimension: int | None, model: str | None, dimension: int | None) -> str:
    """Say which model made the vectors that are stored, and which one made those that were given.

    Labels of models are "NAME (FINGERPRINT)". Two versions of one model differ in the fingerprint only.
    """
    made = f"was made with {found!r}" if found else "was made without naming its embedder"
    size = f" ({found_dimension} dimensions)" if found_dimension else ""
    who = f"this embedder, {model!r}," if model and model != found else "this embedder"
    if found and model and found != model and found.split(" (")[0] == model.split(" (")[0]:
        return f"{made}{size}; {who} is another version of it, whose vectors cannot be compared with those"
    return f"{made}{size}; {who} {f'makes {dimension}' if dimension else 'is another one'}"


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
