"""Write who of the registered people is on the images of an event."""

import sys
import tempfile
from pathlib import Path

from faceall import Gallery
from faceall.images import find_images

HERE = Path(__file__).parent
event = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "someone.jpg"

with tempfile.TemporaryDirectory() as folder, Gallery.open(folder) as gallery:
    gallery.register(HERE / "photos", names_from="folders")
    faces = [face.matches[0] for image in find_images(event) for face in gallery.search(image, k=1)]
    present = {match.person for match in faces if match.matches}
    for person in gallery.people:
        print(person.name, "present" if person.name in present else "absent", sep="\t")
