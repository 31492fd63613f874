"""Say who appears in a video, and when: python examples/who_is_in_a_video.py VIDEO PHOTOS."""

import sys
import tempfile
from pathlib import Path

import cv2

from faceall import Gallery

HERE = Path(__file__).parent

with tempfile.TemporaryDirectory() as folder:
    if len(sys.argv) > 1:
        video, photos = map(Path, sys.argv[1:3])
    else:  # a second of a still
        video, photos = Path(folder) / "clip.avi", HERE / "photos"
        still = cv2.imread(str(HERE / "someone.jpg"))
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, still.shape[1::-1])
        for _ in range(10):
            writer.write(still)
        writer.release()
    with Gallery.open(Path(folder) / "gallery") as gallery:
        gallery.register(photos, names_from="folders")
        for one in gallery.search_video(video):
            print(f"{one.start:.1f} s to {one.end:.1f} s: {one.person or 'unknown'} ({one.decision})")
