"""Small data for trainings: real faces of LFW where they are at hand, and shards of noise with a made-up teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceall.images import read_image, write_image


def real_people(shared: Path, folder: Path, *, people: int, most: int = 6) -> Path:
    """FOLDER/NAME/*.png: the middles of the images of those people in LFW's view 1 who have most of them."""
    places = sorted((shared / "data/lfw-dev").iterdir())
    counted = sorted((place for place in places if place.is_dir()), key=lambda place: -len(list(place.glob("*.jpg"))))
    for place in counted[:people]:
        (folder / place.name).mkdir(parents=True)
        for file in sorted(place.glob("*.jpg"))[:most]:
            write_image(folder / place.name / f"{file.stem}.png", read_image(file)[60:190, 60:190])
    return folder


def noise_shard(folder: Path, *, count: int = 96, side: int = 56) -> Path:
    """Crops of smooth noise, and a teacher whose vectors are a fixed linear map of their coarse colours."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (count, 7, 7, 3))
    crops = coarse.repeat(side // 7, axis=1).repeat(side // 7, axis=2)
    vectors = (coarse.reshape(count, -1) - 127.5) @ random.standard_normal((147, 24))
    np.save(folder / "crops.npy", crops.astype(np.uint8))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(folder / "colours.npy", vectors.astype(np.float32))
    return folder
