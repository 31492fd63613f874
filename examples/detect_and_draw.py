"""Find the faces in an image and draw them.

Usage: python examples/detect_and_draw.py [IMAGE] [RESULT]
"""

import sys
from pathlib import Path

from faceall import Detector, read_image, write_image
from faceall.images import draw_faces

HERE = Path(__file__).parent
source = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "someone.jpg"
result = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("faces.png")

image = read_image(source)
faces = Detector(min_face=40)(image)
for face in faces:
    print("box", face.box.round(1).tolist(), f"score {face.score:.3f}")
write_image(result, draw_faces(image, faces))
print(f"{len(faces)} faces found, drawn in {result}")
