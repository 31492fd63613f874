"""Group the faces of a folder by person, without names."""

import sys
import tempfile
from pathlib import Path

from faceall import Gallery

photos = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
with tempfile.TemporaryDirectory() as folder, Gallery.open(folder) as gallery:
    gallery.register(photos, unnamed=True)
    grouping = gallery.people.cluster(threshold=1.0)
    for group in grouping.clusters:
        print(group.person, *(face.path.name for face in gallery.faces.find(person=group.person)))
    print(len(grouping.alone), "faces on their own")
