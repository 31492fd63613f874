"""An import without vectors sets nothing in a gallery."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from stand_ins import one_face, write_photo

from faceall.gallery import Gallery

pytestmark = pytest.mark.embedded("Milvus imports no vectors")


@pytest.mark.parametrize("kind", ["npy", "flat.npy", "list.pkl", "dict.pkl"])
def test_an_empty_import_sets_no_dimension(gallery: Gallery, tmp_path: Path, kind: str) -> None:
    """After an empty import, photos can be registered with an embedder of any dimension."""
    source = tmp_path / f"empty.{kind}"
    if kind.endswith("npy"):
        np.save(source, np.zeros((0, 512) if kind == "npy" else 0, np.float32))
    else:
        source.write_bytes(pickle.dumps([] if kind == "list.pkl" else {"encodings": [], "names": []}))
    assert gallery.index.import_vectors(source, made_by="another").added == 0
    gallery.register(write_photo(tmp_path / "photo.png", one_face(3)))
    assert len(gallery) == 1
