"""List the images of a folder that show the person of one image, without a gallery."""

import sys
from pathlib import Path

import faceall

HERE = Path(__file__).parent
query, folder = (sys.argv[1:3] + [HERE / "someone.jpg", HERE / "photos"][len(sys.argv[1:3]) :])[:2]

for found in faceall.find(query, folder, k=100):
    for face in found.faces:
        print("match" if face.match else "no match", f"{face.distance:.3f}", face.path)
