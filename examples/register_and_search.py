"""Register a folder of photos, then ask who is on another one.

Usage: python examples/register_and_search.py [PHOTOS] [PICTURE]
"""

import sys
import tempfile
from pathlib import Path

from faceall import Gallery

HERE = Path(__file__).parent
photos = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "photos"
picture = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "someone.jpg"

with tempfile.TemporaryDirectory() as folder, Gallery.open(folder) as gallery:
    for photo in gallery.register(photos):
        print(photo.status, photo.path.name, photo.person or "")
    for face in gallery.search(picture, k=3):
        for match in face.matches:
            print(f"{match.person}: distance {match.distance:.2f} (0 the same .. 4), {match.path}")
