"""The receipt of a removal, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from faceall_cli.console import counted

if TYPE_CHECKING:
    from faceall.gallery import Removal


def receipt_of(removal: Removal) -> dict[str, Any]:
    """Return the number of removed faces and photos, and the receipt, as a JSON object."""
    found = {"faces": len(removal.faces), "stale_face_count": removal.stale, "photos": len(removal.photos)}
    if removal.receipt is None:
        return found
    return {**found, **asdict(removal.receipt), "complete": removal.receipt.complete}


def proof_of(removal: Removal) -> str:
    """Return the receipt as text, to be appended to a line that says what was removed."""
    receipt = removal.receipt
    if receipt is None:
        return ""
    parts = [f"{counted(removal.count, 'face')} and {counted(len(removal.photos), 'photo')} erased"]
    parts.append("freed space overwritten" if receipt.secure_delete else "freed space NOT overwritten")
    parts.append({"none": "no graph file", "rewritten": "graph rewritten"}.get(receipt.graph, "graph still has them"))
    parts.append(
        "log empty"
        if receipt.log == "empty"
        else "another program is using the gallery, so the log still has them until a writer closes it"
    )
    if receipt.damaged_copies:
        parts.append(f"NOT removed from {', '.join(receipt.damaged_copies)}, which a repair kept: delete it")
    return f" ({'; '.join(parts)}; generation {receipt.generation:,})"
