"""Register a folder of photos, then search for the faces of another image.

Usage: python examples/register_and_search.py [PHOTOS] [IMAGE]
"""

import sys
import tempfile
from pathlib import Path

from faceall import Gallery

HERE = Path(__file__).parent
photos = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "photos"
query = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "someone.jpg"

with tempfile.TemporaryDirectory() as folder, Gallery.open(folder) as gallery:
    for photo in gallery.iter_register(photos):
        print(photo.status, photo.path.name, photo.person or "")
    for face in gallery.search(query, k=3):
        for match in face.matches:
            print(f"{match.person}: distance {match.distance:.2f} (0 identical, 4 opposite), {match.path}")
