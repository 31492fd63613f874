"""The operations of the original FaceAll web app."""

from __future__ import annotations

from faceall.web.openapi.operations import IMAGES, operation
from faceall.web.openapi.schemas import IMAGE, TEXT, Schema, many, record, ref


def faceall_paths(max_urls: int) -> Schema:
    """Return the operations of the original FaceAll web app."""
    form = "multipart/form-data"
    names = {**TEXT, "description": "the file fields, each followed by *"}
    register = {
        "type": "object",
        "properties": {"names": names},
        "required": ["names"],
        "additionalProperties": IMAGE,
    }
    retrieve = {
        "type": "object",
        "properties": {"name": {**TEXT, "description": "the file field"}},
        "required": ["name"],
        "additionalProperties": IMAGE,
    }
    batch = record(urls=many(TEXT, minItems=1, maxItems=max_urls))
    failed = {"oneOf": [ref("Error"), ref("FaceAllFaces")]}
    paths = {
        "/faceRegister": {
            "post": operation(
                "Register the images of a form",
                ref("FaceAllFaces"),
                body=register,
                kind=form,
                errors=(*IMAGES, 422),
            )
        },
        "/faceRegisterBatch": {
            "post": operation("Register the images at URLs", ref("FaceAllFaces"), body=batch, errors=(*IMAGES, 422))
        },
        "/faceRetrieve": {
            "post": operation(
                "List all faces by their distance to the one on an image",
                ref("FaceAllDistances"),
                body=retrieve,
                kind=form,
                errors=(*IMAGES, 422),
            )
        },
    }
    for path in ("/faceRegister", "/faceRegisterBatch"):
        responses = paths[path]["post"]["responses"]
        for code in ("400", "413", "415", "422", "500", "503"):
            responses[code]["content"]["application/json"]["schema"] = failed
    return paths
