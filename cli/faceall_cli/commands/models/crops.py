"""Face crops from a folder of photos, for the options of a conversion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faceall_cli.console import Console, counted, shown

if TYPE_CHECKING:
    from faceall.convert import FaceCrops


def cut_faces(console: Console, path: Path, size: tuple[int, int], limit: int | None = None) -> FaceCrops:
    """Cut out the largest face of every photo below a folder.

    Photos without a face and unreadable ones are skipped and reported. An .npz is read as it is.

    Parameters
    ----------
    console : Console
        Prints progress and remarks.
    path : Path
        The folder, or an .npz of crops.
    size : tuple of int
        Width and height of the crops.
    limit : int, optional
        The most photos to read, evenly spread.

    Returns
    -------
    FaceCrops
        The crops, with people's names if the folder is DIR/NAME/*.jpg.

    Raises
    ------
    ConvertError
        If no face is found.
    """
    import numpy as np

    from faceall import Detector
    from faceall.convert import FaceCrops, labels_of, read_crops, spread
    from faceall.errors import ConvertError, ImageError
    from faceall.images import crop, find_images, read_image
    from faceall.models import FACENET_CROP

    if not path.is_dir():
        return read_crops(path, size, limit)
    files = spread(find_images(path), limit)
    detector, found = Detector(), {}
    with console.progress(len(files), "photos") as bar:
        for file in files:
            try:
                photo = read_image(file)
            except ImageError as error:
                console.complain(f"faceall: {shown(str(error))}")
                continue
            boxes = detector(photo).boxes
            if len(boxes):
                box = boxes[np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))]
                region = FACENET_CROP.regions(box[None], image_size=(photo.shape[1], photo.shape[0]))[0]
                found[file] = crop(photo, region, size=size)
            bar.step()
    if not found:
        raise ConvertError(f"{path}: no face found in {counted(len(files), 'photo')}")
    if len(found) < len(files):
        console.remark(f"{shown(path)}: {len(files) - len(found)} of {counted(len(files), 'photo')} without a face")
    return FaceCrops(np.stack(list(found.values())), labels_of(list(found), path))
