"""Receipts of removals: what was removed, when, and whether anything of it can still be found."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from faceall.gallery import Removal
from faceall.web.services import services


def receipt_of(subject: dict[str, Any], removal: Removal) -> dict[str, Any]:
    """Remove the uploads of removed photos, check what is left, and return the receipt.

    Parameters
    ----------
    subject : dict
        What was removed, as {"kind", "id", "name"}.
    removal : Removal
        From the gallery.
    """
    uploads = services().uploads.remove(removal.paths)
    receipt = {
        "id": secrets.token_hex(8),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "subject": subject,
        "faces": list(removal.faces),
        "photos": list(removal.photos),
        "uploads": uploads,
        "remaining": services().gallery.index.remaining(removal),
        **_on_disk(removal),
    }
    plain = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {
        "removed": {"faces": removal.count, "photos": len(removal.photos), "uploads": uploads},
        "receipt": {**receipt, "sha256": hashlib.sha256(plain.encode()).hexdigest()},
    }


def _on_disk(removal: Removal) -> dict[str, Any]:
    """Return what the gallery reports about the removed embeddings in its files."""
    found = removal.receipt
    return {} if found is None else {**asdict(found), "complete": found.complete}
