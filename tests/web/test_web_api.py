"""The API's people, faces, photos, searches and receipts."""

from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images_for_forms import TWO_FACES, encoded, image_file, register, sent
from PIL import Image as PillowImage

from faceall.gallery import Gallery

API = "/api/v1"
FORM = "multipart/form-data"


@pytest.fixture
def filled(client: Any) -> Any:
    """Return a client of a gallery with two photos of Ada, one of Eve with a stranger, and one without a name."""
    register(
        client,
        (image_file(1), "Ada/1.png"),
        (image_file(2), "Ada/2.png"),
        (image_file(TWO_FACES), "Eve.png"),
        names_from="files",
    )
    register(client, (image_file(40), "40.png"))
    return client


def ids_of(client: Any) -> dict[str, int]:
    """Return people's ids by name."""
    return {person["name"]: person["id"] for person in client.get(f"{API}/people").json["people"]}


def test_people_are_listed_with_counts_and_covers(filled: Any) -> None:
    """People are listed by name; the cover is one of their faces."""
    answer = filled.get(f"{API}/people").json
    assert [(one["name"], one["faces"], one["photos"], one["unnamed"]) for one in answer["people"]] == [
        ("Ada", 2, 2, False),
        ("Eve", 1, 1, False),
    ]
    assert answer["total"] == 2
    for person in answer["people"]:
        assert filled.get(f"{API}/faces/{person['cover']}").json["person"]["id"] == person["id"]
        assert filled.get(f"{API}/people/{person['id']}").json == person


def test_people_are_paged_and_searched(filled: Any) -> None:
    """`limit`, `offset` and `q` select people; the total counts all that match."""
    second = filled.get(f"{API}/people?limit=1&offset=1").json
    assert ([one["name"] for one in second["people"]], second["total"]) == (["Eve"], 2)
    found = filled.get(f"{API}/people?q=AD").json
    assert ([one["name"] for one in found["people"]], found["total"]) == (["Ada"], 1)


def test_a_person_is_renamed(filled: Any) -> None:
    """Renaming keeps the id; a name that is taken is a conflict."""
    ids = ids_of(filled)
    answer = filled.patch(f"{API}/people/{ids['Ada']}", json={"name": "Augusta 中 \"'/\\ 🙂"})
    assert (answer.status_code, answer.json["id"]) == (200, ids["Ada"])
    assert answer.json["name"] == "Augusta 中 \"'/\\ 🙂"
    taken = filled.patch(f"{API}/people/{ids['Eve']}", json={"name": "Augusta 中 \"'/\\ 🙂"})
    assert (taken.status_code, taken.json["error"]["code"]) == (409, "conflict")


def test_people_are_merged(filled: Any) -> None:
    """All faces move to the other person, and the first id no longer exists."""
    ids = ids_of(filled)
    answer = filled.post(f"{API}/people/{ids['Ada']}/merge", json={"into": ids["Eve"]})
    assert (answer.json["name"], answer.json["faces"]) == ("Eve", 3)
    assert filled.get(f"{API}/people/{ids['Ada']}").status_code == 404
    itself = filled.post(f"{API}/people/{ids['Eve']}/merge", json={"into": ids["Eve"]})
    assert itself.status_code == 409


def test_a_person_is_split(filled: Any) -> None:
    """Faces move to a named person or to a new cluster; faces of another person are a conflict."""
    ids = ids_of(filled)
    faces = [face["id"] for face in filled.get(f"{API}/faces?person={ids['Ada']}").json["faces"]]
    eves = filled.get(f"{API}/faces?person={ids['Eve']}").json["faces"][0]["id"]
    wrong = filled.post(f"{API}/people/{ids['Ada']}/split", json={"faces": [eves]})
    assert wrong.status_code == 409
    assert filled.post(f"{API}/people/{ids['Ada']}/split", json={"faces": [999]}).status_code == 404
    named = filled.post(f"{API}/people/{ids['Ada']}/split", json={"faces": faces[:1], "to": "Byron"})
    assert (named.json["name"], named.json["unnamed"], named.json["faces"]) == ("Byron", False, 1)
    cluster = filled.post(f"{API}/people/{named.json['id']}/split", json={"faces": faces[:1]})
    assert cluster.json["unnamed"] is True
    listed = filled.get(f"{API}/people?unnamed=only").json["people"]
    assert [one["id"] for one in listed] == [cluster.json["id"]]
    assert cluster.json["id"] not in [one["id"] for one in filled.get(f"{API}/people?unnamed=none").json["people"]]


def test_a_removed_person_leaves_a_receipt_and_nothing_else(filled: Any, folder: Path) -> None:
    """The receipt has the counts; the upload, the rows and the thumbnail are gone."""
    ids = ids_of(filled)
    faces = [face["id"] for face in filled.get(f"{API}/faces?person={ids['Ada']}").json["faces"]]
    uploads = sorted((folder / "uploads").rglob("*.png"))
    answer = filled.delete(f"{API}/people/{ids['Ada']}").json
    assert answer["removed"] == {"faces": 2, "photos": 2, "uploads": 2}
    receipt = dict(answer["receipt"])
    assert (receipt["faces"], receipt["remaining"], receipt["complete"]) == (faces, 0, True)
    assert receipt["subject"] == {"kind": "person", "id": ids["Ada"], "name": "Ada"}
    digest = receipt.pop("sha256")
    plain = json.dumps(receipt, sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256(plain.encode()).hexdigest()
    for face in faces:
        assert filled.get(f"{API}/faces/{face}/thumbnail").status_code == 404
    left = sorted((folder / "uploads").rglob("*.png"))
    assert len(left) == len(uploads) - 2
    assert filled.delete(f"{API}/people/{ids['Ada']}").status_code == 404


def test_faces_are_assigned_and_unassigned(filled: Any) -> None:
    """A face is assigned to a new person, then to none."""
    stranger = filled.get(f"{API}/faces?unassigned=true").json["faces"][0]["id"]
    answer = filled.patch(f"{API}/faces/{stranger}", json={"person": "Joy"})
    assert answer.json["person"]["name"] == "Joy"
    assert filled.patch(f"{API}/faces/{stranger}", json={"person": None}).json["person"] is None
    assert "Joy" not in ids_of(filled)


def test_photo_is_removed_with_its_last_face(filled: Any) -> None:
    """Removing the first of two faces keeps the photo; removing the second deletes it and its upload."""
    photo = next(one for one in filled.get(f"{API}/photos").json["photos"] if len(one["faces"]) == 2)
    first, second = (face["id"] for face in photo["faces"])
    assert filled.delete(f"{API}/faces/{first}").json["removed"] == {"faces": 1, "photos": 0, "uploads": 0}
    assert filled.get(f"{API}/photos/{photo['id']}/image").status_code == 200
    assert filled.delete(f"{API}/faces/{second}").json["removed"] == {"faces": 1, "photos": 1, "uploads": 1}
    assert filled.get(f"{API}/photos/{photo['id']}").status_code == 404


def test_photos_have_size_faces_and_names(filled: Any) -> None:
    """Every photo in a list equals the response of its own address and has its faces."""
    photos = filled.get(f"{API}/photos").json["photos"]
    assert [photo["name"] for photo in photos] == ["Ada/1.png", "Ada/2.png", "Eve.png", "40.png"]
    for photo in photos:
        assert filled.get(f"{API}/photos/{photo['id']}").json == photo
        assert (photo["width"], photo["height"], photo["available"]) == (120, 90, True)
        assert filled.get(f"{API}/faces?photo={photo['id']}").json["faces"] == photo["faces"]
    ada = ids_of(filled)["Ada"]
    assert [one["name"] for one in filled.get(f"{API}/photos?person={ada}").json["photos"]] == [
        "Ada/1.png",
        "Ada/2.png",
    ]


def test_the_image_is_scaled_down_and_its_face_marked(filled: Any) -> None:
    """A red box is drawn at the stored position, and none without `face`."""
    photo = filled.get(f"{API}/photos").json["photos"][0]
    plain = decoded(filled.get(f"{API}/photos/{photo['id']}/image?max=60"))
    assert plain.shape == (45, 60, 3)
    face = photo["faces"][0]
    whole = decoded(filled.get(f"{API}/photos/{photo['id']}/image")).astype(int)
    marked = decoded(filled.get(f"{API}/photos/{photo['id']}/image?face={face['id']}")).astype(int)
    x0, y0, x1, y1 = (round(value) for value in face["box"])
    redder = (marked - whole)[:, :, 0] > 60
    assert redder[y0 + 5 : y1 - 5, x0].all()
    assert not redder[:, : x0 - 8].any()
    assert not redder[:, x1 + 8 :].any()
    other = filled.get(f"{API}/photos").json["photos"][1]["faces"][0]["id"]
    assert filled.get(f"{API}/photos/{photo['id']}/image?face={other}").status_code == 404


def decoded(answer: Any) -> np.ndarray[Any, Any]:
    """Decode the JPEG of a response."""
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg"), answer.text
    return np.asarray(PillowImage.open(io.BytesIO(answer.data)).convert("RGB"))


def test_thumbnails_are_cached_until_they_change(filled: Any) -> None:
    """The browser's copy is valid until the thumbnail changes; a removed face has none."""
    first = filled.get(f"{API}/faces/1/thumbnail")
    assert decoded(first).shape == (112, 112, 3)
    again = filled.get(f"{API}/faces/1/thumbnail", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_photo_with_a_missing_file_keeps_its_thumbnails(filled: Any, gallery: Gallery, tmp_path: Path) -> None:
    """A file outside of the uploads that was moved or changed is not available, but its thumbnail is."""
    path = tmp_path / "Joy.png"
    path.write_bytes(image_file(70))
    list(gallery.register(path))
    photo = filled.get(f"{API}/photos").json["photos"][-1]
    assert (photo["name"], photo["available"]) == ("Joy.png", True)
    path.write_bytes(image_file(71))
    assert filled.get(f"{API}/photos/{photo['id']}/image").status_code == 404
    path.unlink()
    assert filled.get(f"{API}/photos/{photo['id']}").json["available"] is False
    assert filled.get(f"{API}/photos/{photo['id']}/image").status_code == 404
    assert filled.get(f"{API}/faces/{photo['faces'][0]['id']}/thumbnail").status_code == 200


def test_removing_a_photo_keeps_files_outside_the_uploads(filled: Any, gallery: Gallery, tmp_path: Path) -> None:
    """The server deletes only uploaded files."""
    path = tmp_path / "Joy.png"
    path.write_bytes(image_file(70))
    list(gallery.register(path))
    photo = filled.get(f"{API}/photos").json["photos"][-1]["id"]
    assert filled.delete(f"{API}/photos/{photo}").json["removed"] == {"faces": 1, "photos": 1, "uploads": 0}
    assert path.read_bytes() == image_file(70)


def test_search_agrees_with_the_gallery(filled: Any, gallery: Gallery) -> None:
    """Faces, order, distances and people are those of `Gallery.search`."""
    data = image_file(TWO_FACES)
    answer = filled.post(f"{API}/search", data={"file": sent(data), "k": "3"}).json
    assert (answer["width"], answer["height"]) == (120, 90)
    expected = gallery.search(np.asarray(PillowImage.open(io.BytesIO(data))), k=3)
    assert len(answer["faces"]) == len(expected) == 2
    for found, result in zip(answer["faces"], expected, strict=True):
        assert found["box"] == list(result.box)
        assert [match["face"] for match in found["matches"]] == [match.face_id for match in result.matches]
        for match, wanted in zip(found["matches"], result.matches, strict=True):
            assert match["distance"] == pytest.approx(wanted.distance, abs=1e-6)
            assert match["similarity"] == pytest.approx(1 - wanted.distance / 2, abs=1e-6)
            assert (match["person"] or {"name": None})["name"] == wanted.person


def test_search_by_person_gives_best_and_mean(filled: Any) -> None:
    """There is one row per person, nearest first."""
    answer = filled.post(f"{API}/search", data={"file": sent(image_file(1)), "by": "person"}).json
    rows = answer["faces"][0]["matches"]
    assert [row["person"]["name"] for row in rows] == ["Ada", "Eve"]
    assert rows[0]["best"] == pytest.approx(0, abs=1e-6)
    assert rows[0]["mean"] >= rows[0]["best"]
    assert rows[0]["count"] == 2


def test_search_among_some_people_only(filled: Any) -> None:
    """Other people and unassigned faces are left out; an unknown person is not found."""
    eve = str(ids_of(filled)["Eve"])
    answer = filled.post(f"{API}/search", data={"file": sent(image_file(1)), "k": "9", "people": [eve]}).json
    assert [match["person"]["name"] for match in answer["faces"][0]["matches"]] == ["Eve"]
    by_person = filled.post(f"{API}/search", data={"file": sent(image_file(1)), "by": "person", "people": eve}).json
    assert [match["person"]["name"] for match in by_person["faces"][0]["matches"]] == ["Eve"]
    assert filled.post(f"{API}/search", data={"file": sent(image_file(1)), "people": "99"}).status_code == 404
    assert filled.post(f"{API}/search", data={"file": sent(image_file(1)), "people": "x"}).status_code == 400


def test_a_threshold_limits_the_matches(filled: Any) -> None:
    """Faces beyond the threshold are left out; those within it are matches."""
    answer = filled.post(f"{API}/search", data={"file": sent(image_file(1)), "threshold": "0.000001"}).json
    limit = {"distance": 1e-6, "origin": "given", "false_accept_rate": None}
    assert answer["threshold"] == limit | dict.fromkeys(("possible", "fpir", "people", "interval"))
    assert [match["match"] for match in answer["faces"][0]["matches"]] == [True]


def test_search_without_a_face_is_empty(filled: Any) -> None:
    """A search with an image without a face is not an error."""
    answer = filled.post(f"{API}/search", data={"file": sent(image_file())})
    assert (answer.status_code, answer.json["faces"]) == (200, [])


def test_search_in_an_empty_gallery_has_no_matches(client: Any) -> None:
    """The face of the image is returned without matches."""
    answer = client.post(f"{API}/search", data={"file": sent(image_file(1))}).json
    assert [face["matches"] for face in answer["faces"]] == [[]]


def test_two_images_are_compared(filled: Any) -> None:
    """The distance is that of their vectors; without a threshold there is no verdict."""
    same = filled.post(f"{API}/compare", data={"first": sent(image_file(1)), "second": sent(image_file(1))}).json
    other = filled.post(f"{API}/compare", data={"first": sent(image_file(1)), "second": sent(image_file(200))}).json
    assert same["distance"] == pytest.approx(0, abs=1e-6)
    assert other["distance"] > 0.001
    assert (same["same"], same["threshold"]) == (None, None)
    none = filled.post(f"{API}/compare", data={"first": sent(image_file(1)), "second": sent(image_file())})
    assert (none.status_code, none.json["error"]["code"]) == (422, "unprocessable")


def test_unassigned_faces_are_clustered(client: Any) -> None:
    """Two similar faces become a cluster, which the status counts."""
    for number in (40, 41, 250):
        register(client, (image_file(number), "x.png"), unnamed="true")
    answer = client.post(f"{API}/cluster", json={"threshold": 0.01})
    assert answer.json == {"threshold": 0.01, "clusters": 1, "created": 1, "joined": 2, "unmatched": 1}
    assert client.get(f"{API}/status").json["unnamed_clusters"] == 1
    assert client.post(f"{API}/cluster", json={"threshold": 0.01}).json["joined"] == 0
    assert client.post(f"{API}/cluster").json["threshold"] == 0.8


def test_search_in_milvus_is_not_called_exact(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a graph a folder is searched exactly; Milvus has an index of its own."""
    assert filled.get(f"{API}/status").json["index"]["exact"] is True
    monkeypatch.setattr(Gallery, "place", "milvus://127.0.0.1:19530/faces")
    assert filled.get(f"{API}/status").json["index"]["exact"] is False


def test_the_status_counts(filled: Any) -> None:
    """The status has the counts of the gallery and its model."""
    status = filled.get(f"{API}/status").json
    assert (status["faces"], status["people"], status["photos"]) == (5, 2, 4)
    assert status["model"]["name"].startswith("colours (")
    assert status["detector"] == "mtcnn"
    assert status["index"]["problems"] == []


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("get", "people?limit=0", None),
        ("get", "people?limit=x", None),
        ("get", "people?limit=501", None),
        ("get", "people?offset=-1", None),
        ("get", "people?unnamed=perhaps", None),
        ("get", "faces?person=1.5", None),
        ("get", "faces?unassigned=1", None),
        ("get", "faces?photo=99999999999999999999", None),
        ("get", "photos/1/image?max=15", None),
        ("patch", "people/1", {}),
        ("patch", "people/1", {"name": 5}),
        ("patch", "people/1", {"name": None}),
        ("patch", "people/1", {"name": " "}),
        ("patch", "people/1", {"name": "two\nlines"}),
        ("patch", "people/1", {"name": "x", "more": 1}),
        ("patch", "people/1", ["name"]),
        ("post", "people/1/merge", {"into": True}),
        ("post", "people/1/merge", {"into": -1}),
        ("post", "people/1/split", {"faces": []}),
        ("post", "people/1/split", {"faces": ["1"]}),
        ("post", "cluster", {"threshold": 0}),
        ("post", "cluster", {"threshold": 4.5}),
        ("post", "cluster", {"known": "yes"}),
        ("post", "register", {"urls": []}),
        ("post", "register", {"urls": "http://example.org"}),
        ("post", "register", {"urls": ["http://example.org/x.jpg"] * 101}),
    ],
)
def test_invalid_requests_are_bad_requests(filled: Any, method: str, address: str, body: Any) -> None:
    """A 400 response has one line that says what is expected."""
    answer = getattr(filled, method)(f"{API}/{address}", json=body)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_request"), answer.text
    assert "\n" not in answer.json["error"]["message"]


@pytest.mark.parametrize("address", ["people/77", "faces/77", "faces/77/thumbnail", "photos/77", "photos/77/image"])
@pytest.mark.parametrize("number", ["77", "0", "9223372036854775808", "-1", "x"])
def test_unknown_ids_are_not_found(filled: Any, address: str, number: str) -> None:
    """Unknown ids give 404, also those that the database cannot store."""
    answer = filled.get(f"{API}/{address.replace('77', number)}")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_another_kind_of_body_is_refused(filled: Any) -> None:
    """A form instead of JSON, JSON instead of a form, and an empty body are refused."""
    for answer in (
        filled.patch(f"{API}/people/1", data={"name": "x"}),
        filled.post(f"{API}/search", json={}),
        filled.post(f"{API}/register", data=b"GIF89a", content_type="image/gif"),
        filled.post("/faceRegister", json={}),
    ):
        assert (answer.status_code, answer.json["error"]["code"]) == (415, "unsupported_media_type")
    broken = filled.patch(f"{API}/people/1", data="{", content_type="application/json")
    assert broken.status_code == 400


def test_text_instead_of_a_file_is_reported(client: Any) -> None:
    """A text field instead of a file, as curl sends it without @, is reported as such."""
    for address, field in (("search", "file"), ("register", "files"), ("compare", "first")):
        answer = client.post(
            f"{API}/{address}", data={field: "photo.jpg", "urls": "http://x.example/", "second": "x"}, content_type=FORM
        )
        assert answer.status_code == 400
        assert "=@photo.jpg" in answer.json["error"]["message"]


def test_a_wrong_method_gives_the_allowed_ones(client: Any) -> None:
    """The response is 405 with the header Allow."""
    answer = client.put(f"{API}/people")
    assert (answer.status_code, answer.json["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_internal_errors_hide_their_text(client: Any, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response is 500 in the error format; the exception is only in the log."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret of /srv/photos")

    monkeypatch.setattr(gallery.people, "page", broken)
    answer = client.get(f"{API}/people")
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "/srv/photos" not in answer.text


def test_an_alpha_channel_and_turned_images_are_searched_upright(filled: Any) -> None:
    """The box is in pixels of the upright image, also with an alpha channel."""
    image = PillowImage.open(io.BytesIO(image_file([(0, 0, 30, (9, 9, 200))]))).transpose(
        PillowImage.Transpose.ROTATE_90
    )
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # rotate to the right
    answer = filled.post(f"{API}/search", data={"file": sent(encoded(image, exif=exif))}).json
    assert (answer["width"], answer["height"]) == (120, 90)
    assert answer["faces"][0]["box"] == [0, 0, 30, 30]


def test_the_name_of_all_faces_of_a_person_is_removed(filled: Any) -> None:
    """The faces stay in the gallery without a person, and the person is removed."""
    people = filled.get(f"{API}/people?q=ada").json["people"]
    before = filled.get(f"{API}/faces?unassigned=true").json["total"]
    answer = filled.post(f"{API}/people/{people[0]['id']}/unassign")
    assert answer.json == {"faces": people[0]["faces"]}
    assert filled.get(f"{API}/people/{people[0]['id']}").status_code == 404
    assert filled.get(f"{API}/faces?unassigned=true").json["total"] == before + people[0]["faces"]
    assert filled.post(f"{API}/people/999/unassign").status_code == 404


def test_a_registered_face_without_a_name_is_found_among_people(client: Any) -> None:
    """An unassigned face that is nearer than any person comes first, with its id and without a person."""
    client.post("/api/v1/register?wait=true", data={"files": [sent(image_file(1), "ada/1.png")]})
    job = client.post("/api/v1/register?wait=true", data={"files": [sent(image_file(90))], "unnamed": "true"}).json[
        "job"
    ]
    face = job["results"][0]["faces"][0]["id"]
    found = client.post("/api/v1/search", data={"file": sent(image_file(90)), "by": "person"}).json["faces"][0][
        "matches"
    ]
    assert [match["person"] and match["person"]["name"] for match in found] == [None, "ada"]
    assert found[0]["faces"] == [face]


def test_search_is_limited_to_some_days(filled: Any) -> None:
    """Photos of other days are not found; a wrong date is reported."""
    today = time.strftime("%Y-%m-%d")
    for by in ("face", "person"):
        fields = {"k": "5", "by": by}
        assert matches_of(filled, **fields, since="2000-01-01", until=today)
        assert matches_of(filled, **fields, since="", until="") == matches_of(filled, **fields)
        assert matches_of(filled, **fields, until="2000-01-01") == []
    data = {"file": (io.BytesIO(image_file(1)), "x.png"), "since": "yesterday"}
    answer = filled.post("/api/v1/search", data=data, content_type="multipart/form-data")
    assert answer.status_code == 400
    assert "since is 'yesterday', expected a date" in answer.get_json()["error"]["message"]


def matches_of(client: Any, **fields: str) -> list[Any]:
    """Return the matches of the only face of an image."""
    data = {"file": (io.BytesIO(image_file(1)), "x.png"), **fields}
    answer = client.post("/api/v1/search", data=data, content_type="multipart/form-data")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    (face,) = answer.get_json()["faces"]
    return list(face["matches"])


def test_all_ids_and_initials_of_people(filled: Any) -> None:
    """They are those of the list by name, with the same filters."""
    people = filled.get("/api/v1/people").get_json()["people"]
    assert filled.get("/api/v1/people/ids").get_json() == {"people": [one["id"] for one in people]}
    initials = filled.get("/api/v1/people/initials?unnamed=none").get_json()["initials"]
    assert [one["letter"] for one in initials] == sorted(
        {one["name"][0].upper() for one in people if not one["unnamed"]}
    )
    assert initials[0]["offset"] == 0
    assert filled.get("/api/v1/people?sort=size").status_code == 400
