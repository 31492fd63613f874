"""JSON schemas of requests and responses."""

from __future__ import annotations

from typing import Any, get_args

from faceall.analysis.quality import NoteKind
from faceall.web.errors import ERROR_CODES

Schema = dict[str, Any]

ID: Schema = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
DISTANCE: Schema = {"type": "number", "description": "squared L2 of unit vectors: 0 same, 4 opposite"}
SIMILARITY: Schema = {"type": "number", "description": "cosine: 1 same, -1 opposite"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]+$"}
DAY: Schema = {"type": "string", "format": "date"}
DAY_OR_NONE: Schema = {"type": "string", "anyOf": [{"format": "date"}, {"maxLength": 0}]}
"""Of a form: an empty field is none."""
IMAGE: Schema = {"type": "string", "contentMediaType": "image/*", "format": "binary"}


def ref(name: str) -> Schema:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value or null."""
    return {"oneOf": [schema, {"type": "null"}]}


def many(schema: Schema, **bounds: int) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema, **bounds}


def record(optional: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """Return the schema of an object with these fields only; those in `optional` may be absent."""
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


_POINT = many(NUMBER, minItems=2, maxItems=2)
_GEOMETRY: dict[str, Schema] = {
    "box": {**many(NUMBER, minItems=4, maxItems=4), "description": "x0 y0 x1 y1 in pixels of the upright photo"},
    "landmarks": {
        **many(_POINT, minItems=5, maxItems=5),
        "description": "x y of left eye, right eye, nose, left and right corner of the mouth, as the viewer sees them",
    },
    "score": {"type": "number", "minimum": 0, "maximum": 1},
}
_ERROR_FIELDS = {"code": {"type": "string", "enum": ERROR_CODES}, "message": TEXT}
_PERSON_REF = {"id": ID, "name": TEXT, "unnamed": {**FLAG, "description": "a cluster without a name"}}
_STATUSES = (
    "registered",
    "unchanged",
    "duplicate",
    "moved",
    "reassigned",
    "back",
    "no-face",
    "unreadable",
    "too-large",
)
_JOB = {"id": TEXT, "total": COUNT, "state": {"type": "string", "enum": ["queued", "running", "done"]}}

SCHEMAS: dict[str, Schema] = {
    "Error": {
        **record(error=record(**_ERROR_FIELDS)),
        "description": "the format of all errors",
    },
    "PersonName": record(**_PERSON_REF),
    "PhotoName": record(id=ID, name=TEXT),
    "Person": record(**_PERSON_REF, faces=COUNT, photos=COUNT, cover=maybe(ID)),
    "People": record(people=many(ref("Person")), total=COUNT),
    "SimilarPeople": record(
        people=many(record(**_PERSON_REF, faces=COUNT, photos=COUNT, cover=maybe(ID), distance=DISTANCE))
    ),
    "Face": record(
        id=ID,
        person=maybe(ref("PersonName")),
        photo=ref("PhotoName"),
        primary=FLAG,
        hidden=FLAG,
        seconds=maybe({"type": "number", "description": "of a face of a video: the time of its frame"}),
        **_GEOMETRY,
    ),
    "Faces": record(faces=many(ref("Face")), total=COUNT),
    "Photo": record(
        id=ID,
        name=TEXT,
        width=maybe(COUNT),
        height=maybe(COUNT),
        smallest_face=maybe({"type": "number", "description": "side of the smallest face that was searched for"}),
        taken=maybe({"type": "string", "description": "when it was taken, as the camera noted it, without time zone"}),
        camera=maybe(TEXT),
        source={"type": "string", "enum": ["photo", "video"]},
        faces=many(ref("Face")),
        available={**FLAG, "description": "whether its file exists"},
    ),
    "Photos": record(photos=many(ref("Photo")), total=COUNT),
    "Details": record(hidden=FLAG, cover=maybe(ID), note=maybe(TEXT), born=maybe({"type": "string", "format": "date"})),
    "Change": record(
        id=ID,
        kind=TEXT,
        made={"type": "string", "format": "date-time"},
        author=TEXT,
        text=TEXT,
        undone={**maybe(ID), "description": "the change that undid it"},
        undoable=FLAG,
    ),
    "Changes": record(changes=many(ref("Change")), total=COUNT),
    "Bin": record(
        days=COUNT,
        people=many(record(change=ID, person=TEXT, deleted={"type": "string", "format": "date-time"}, faces=COUNT)),
    ),
    "Suggestions": record(
        suggestions=many(
            record(
                id=TEXT,
                effect={
                    "type": "number",
                    "minimum": 0,
                    "description": "how many faces the answer corrects, as expected",
                },
                within={**FLAG, "description": "whether the subject is a part of the target that may be someone else"},
                certainty={"type": "number", "minimum": 0, "maximum": 1},
                distance=DISTANCE,
                subject=ref("SuggestionSide"),
                target=ref("SuggestionSide"),
            )
        )
    ),
    "SuggestionSide": record(person=maybe(ref("Person")), name=maybe(TEXT), face=ID, faces=COUNT),
    "NameProposal": record(
        name=TEXT,
        source={**TEXT, "description": "the folder, or the name if files suggest it"},
        person={**FLAG, "description": "whether the name and the faces look like one person"},
        faces=many(ID),
        agreeing={**COUNT, "description": "how many of the faces show one person"},
        shown={**many(ID), "description": "some of the faces, for display"},
        known={**maybe(TEXT), "description": "an existing person whose name is the same or differs in form only"},
    ),
    "Receipt": record(
        {
            "generation": COUNT,
            "secure_delete": FLAG,
            "damaged_copies": {"type": "array", "items": {"type": "string"}},
            "log": {"type": "string", "enum": ["empty", "held"]},
            "graph": {"type": "string", "enum": ["none", "rewritten", "outdated"]},
            "complete": {**FLAG, "description": "no byte of a removed embedding is left in the gallery's files"},
        },
        id=TEXT,
        time={"type": "string", "format": "date-time"},
        subject=record(kind={"type": "string", "enum": ["person", "face", "photo"]}, id=ID, name=maybe(TEXT)),
        faces=many(ID),
        photos=many(ID),
        uploads={**COUNT, "description": "uploaded files that were removed with their photos"},
        remaining={**COUNT, "description": "rows of it that can still be found"},
        sha256={**TEXT, "description": "of the other fields as JSON, keys sorted, without spaces"},
    ),
    "Removal": record(removed=record(faces=COUNT, photos=COUNT, uploads=COUNT), receipt=ref("Receipt")),
    "Note": record(
        kind={"type": "string", "enum": list(get_args(NoteKind))},
        message=TEXT,
        photo=maybe(ID),
        name=maybe(TEXT),
    ),
    "Result": record(
        {"notes": many(ref("Note")), "error": record(**_ERROR_FIELDS)},
        name=TEXT,
        status={"type": "string", "enum": [*_STATUSES, "failed"]},
        message=maybe(TEXT),
        person=maybe(ref("PersonName")),
        photo=maybe(ID),
        width=maybe(COUNT),
        height=maybe(COUNT),
        faces=many(ref("Face")),
    ),
    "Job": record(**_JOB, done=COUNT, results=many(ref("Result"))),
    "JobStarted": record(job=record(**_JOB)),
    "JobFinished": record(job=ref("Job")),
    "Threshold": record(
        distance=DISTANCE,
        origin={"type": "string", "enum": ["calibration", "gallery", "model", "given"]},
        false_accept_rate={**maybe(NUMBER), "description": "false match rate per comparison"},
        possible={**maybe(NUMBER), "description": "distance up to which a match is possible"},
        fpir={**maybe(NUMBER), "description": "false-positive identification rate per search of a stranger"},
        people=maybe(COUNT),
        interval=maybe({**many(NUMBER), "description": "95 % interval of the distance"}),
    ),
    "FaceMatch": record(
        face=ID,
        person=maybe(ref("PersonName")),
        photo=ref("PhotoName"),
        distance=DISTANCE,
        similarity=SIMILARITY,
        match=maybe(FLAG),
        decision=maybe({"type": "string", "enum": ["match", "possible", "unknown"]}),
        judged_distance={**maybe(NUMBER), "description": "mean of the distances to the nearest face and the template"},
    ),
    "PersonMatch": record(
        person=maybe(ref("PersonName")),
        best=DISTANCE,
        mean=DISTANCE,
        similarity=SIMILARITY,
        match=maybe(FLAG),
        decision=maybe({"type": "string", "enum": ["match", "possible", "unknown"]}),
        judged_distance={**maybe(NUMBER), "description": "mean of the distances to the nearest face and the template"},
        count={**COUNT, "description": "number of faces of this person that the mean is taken over"},
        faces={**many(ID), "description": "the nearest face"},
    ),
    "Found": record(
        width=COUNT,
        height=COUNT,
        threshold=maybe(ref("Threshold")),
        faces=many(
            record(
                **_GEOMETRY, notes=many(ref("Note")), matches=many({"oneOf": [ref("FaceMatch"), ref("PersonMatch")]})
            )
        ),
    ),
    "Comparison": record(
        distance=DISTANCE,
        similarity=SIMILARITY,
        same=maybe(FLAG),
        threshold=maybe(ref("Threshold")),
        first=record(**_GEOMETRY),
        second=record(**_GEOMETRY),
    ),
    "Clustering": record(threshold=NUMBER, clusters=COUNT, created=COUNT, joined=COUNT, unmatched=COUNT),
    "Status": record(
        faces=COUNT,
        people=COUNT,
        photos=COUNT,
        unnamed_clusters=COUNT,
        unnamed_faces=COUNT,
        missing_files=COUNT,
        model=maybe(record(name=TEXT, size=COUNT)),
        detector=TEXT,
        engine=TEXT,
        index=record(
            problems=many(TEXT),
            recall_wanted=NUMBER,
            recall_reached=maybe(NUMBER),
            exact=FLAG,
            vectors=COUNT,
            dimension=maybe(COUNT),
            bytes=COUNT,
        ),
        threshold=maybe(ref("Threshold")),
        uptime_seconds=NUMBER,
        queue={"type": "object"},
        version=TEXT,
    ),
    "FaceAllFaces": record(
        {"error": record(**_ERROR_FIELDS)},
        faces=many(
            record(
                {"error": record(**_ERROR_FIELDS)},
                BoxsPoints=many(
                    record(
                        box=many({"type": "integer"}, minItems=4, maxItems=4),
                        pt={
                            **many({"type": "integer"}, minItems=10, maxItems=10),
                            "description": "x of five landmarks, then y of them",
                        },
                    )
                ),
                name=TEXT,
            )
        ),
    ),
    "FaceAllDistances": record(faces=many(record(distance=DISTANCE, path=TEXT))),
}
