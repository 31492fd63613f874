"""Train embedders: cut out faces, learn from them, write a model that faceall runs."""
