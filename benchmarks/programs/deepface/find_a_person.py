"""List the images of a folder that show the person of one image."""

from deepface import DeepFace

for table in DeepFace.find("someone.jpg", "photos", model_name="Facenet512"):
    for row in table.itertuples():
        print(row.distance, row.identity)
