"""Helpers for tests of bundles: an embedder with a complete manifest, and functions that edit bundles.

Run as a program it imports a bundle: python bundles.py GALLERY BUNDLE
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery
from faceall.models import CAFFEMODEL, PROTOTXT, ModelFolder

Parts = dict[str, bytes]
LATER = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
"""After every change of a test, within the difference that clocks may have."""


class WholeEmbedder(ColourEmbedder):
    """A colour embedder whose manifest lists files, like that of an installed model."""

    def __init__(self, name: str = "colours", size: int = 8) -> None:
        super().__init__(name, size)
        files = {part: hashlib.sha256(f"{name}{size}{part}".encode()).hexdigest() for part in (PROTOTXT, CAFFEMODEL)}
        self.model = ModelFolder(self.model.path, replace(self.model.manifest, files=files))


def open_whole(folder: Path, **options: Any) -> Gallery:
    """Open a gallery with a `WholeEmbedder`."""
    return Gallery.open(folder, **{"detector": ColourDetector(), "embedder": WholeEmbedder(), **options})


def read_parts(path: Path) -> Parts:
    """Return the entries of a bundle."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(path: Path, parts: Parts, *, sums: bool = True) -> Path:
    """Write a bundle of these entries; with `sums` the manifest gets their checksums."""
    if sums:
        manifest = json.loads(parts["manifest.json"])
        others = {name: data for name, data in parts.items() if name != "manifest.json"}
        manifest["parts"] = {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in others.items()
        }
        parts = {**parts, "manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def changed_json(parts: Parts, name: str, change: Callable[[Any], None]) -> Parts:
    """Return the parts with one JSON text edited in place by `change`; update the counts of the manifest."""
    values = json.loads(parts[name])
    change(values)
    result = {**parts, name: json.dumps(values).encode()}
    if name in ("people.json", "faces.json"):
        manifest = json.loads(result["manifest.json"])
        manifest[name.removesuffix(".json")] = len(values)
        result["manifest.json"] = json.dumps(manifest).encode()
    return result


def enrol(parts: Parts, person: str, copy_of: int = 0, photo: str = "phone") -> Parts:
    """Return the parts with a new person, enrolled on a phone with the vector and thumbnail of an existing face."""
    faces = json.loads(parts["faces.json"])
    identity, owner = str(uuid.uuid4()), str(uuid.uuid4())
    old = faces[copy_of]
    size = len(parts["vectors.f32"]) // len(faces)
    record = {"name": f"{photo}.jpg", "sha256": hashlib.sha256(photo.encode()).hexdigest(), "width": 90, "height": 60}
    thumbnail = f"thumbnails/{identity}.jpg"
    new = {**old, "id": identity, "person": owner, "photo": record, "thumbnail": thumbnail}
    result = {**parts, thumbnail: parts[old["thumbnail"]]}
    times = {"created": LATER, "changed": LATER}
    result = changed_json(result, "people.json", lambda _: _.append({"id": owner, "name": person, **times}))
    result = changed_json(result, "faces.json", lambda _: _.append(new))
    result["vectors.f32"] = parts["vectors.f32"] + parts["vectors.f32"][copy_of * size : (copy_of + 1) * size]
    return result


def main() -> None:
    """Import a bundle, and print when the import starts and ends."""
    folder, bundle = map(Path, sys.argv[1:])
    with open_whole(folder) as gallery:
        print("ready", flush=True)
        result = gallery.index.import_bundle(bundle)
        print("done", result.added, flush=True)


if __name__ == "__main__":
    main()
