"""The receipt of a removal, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from faceall_cli.console import counted

if TYPE_CHECKING:
    from faceall.gallery import Removal
    from faceall.index import Receipt


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
    counts = ((removal.count, "face"), (len(removal.photos), "photo"))
    erased = " and ".join(counted(number, noun) for number, noun in counts if number) or "0 faces"
    left = _left_of(receipt)
    return f" ({erased} erased; {'; '.join(left) if left else 'nothing of this is left in the gallery'})"


def _left_of(receipt: Receipt) -> list[str]:
    """Return where the gallery's folder still has what was removed."""
    left = []
    if not receipt.secure_delete:
        left.append("the freed space of the database was NOT overwritten")
    if receipt.graph == "outdated":
        left.append("the search graph still has removed faces until it is saved again")
    if receipt.log == "held":
        left.append("another program is using the gallery, so its log still has this until a change after it has ended")
    if receipt.damaged_copies:
        left.append(f"NOT removed from {', '.join(receipt.damaged_copies)}, which a repair kept: delete it")
    return left
