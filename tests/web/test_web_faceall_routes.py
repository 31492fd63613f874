"""The three routes of the old FaceAll server: same formats, without its bugs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images_for_forms import TWO_FACES, browser_form, image_file, sent
from stand_ins import ColourDetector, ColourEmbedder
from test_web_register import FakeFetcher

from faceall.gallery import Gallery
from faceall.types import Faces
from faceall.web import ServerOptions
from faceall.web.api.faceall_routes import split_names
from faceall.web.errors import RefusedError


def post_register(client: Any, names: str, *files: tuple[str, bytes]) -> Any:
    """Post a form as a browser does: the field of an image is named like its file."""
    form = browser_form([("names", names)], [(field, field, data) for field, data in files])
    return client.post("/faceRegister", **form)


def test_images_are_registered_with_whole_numbers(client: Any) -> None:
    """Boxes are x0 y0 x1 y1; landmarks are all x, then all y, as integers."""
    answer = post_register(client, "ada.png*", ("ada.png", image_file([(40, 25, 40, (2, 1, 200))])))
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json == {
        "faces": [
            {
                "BoxsPoints": [{"box": [40, 25, 80, 65], "pt": [52, 68, 60, 54, 66, 41, 41, 49, 57, 57]}],
                "name": "ada.png",
            }
        ]
    }


def test_every_face_of_an_image_is_returned(client: Any) -> None:
    """Two faces give two boxes."""
    answer = post_register(client, "both*", ("both", image_file(TWO_FACES))).json
    assert len(answer["faces"][0]["BoxsPoints"]) == 2


def test_one_bad_image_does_not_affect_the_others(client: Any) -> None:
    """The bad image has its own error, and the response is a success."""
    answer = post_register(client, "a*b*c*", ("a", image_file(1)), ("b", b"no image"), ("c", image_file(2)))
    assert answer.status_code == 200
    assert [(one["name"], len(one["BoxsPoints"]), "error" in one) for one in answer.json["faces"]] == [
        ("a", 1, False),
        ("b", 0, True),
        ("c", 1, False),
    ]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"no image", 415, "unsupported_media_type"),
        (b"", 415, "unsupported_media_type"),
        (None, 422, "unprocessable"),
    ],
)
def test_status_is_an_error_if_no_image_is_registered(client: Any, data: bytes | None, status: int, code: str) -> None:
    """The response has the error format, with the images' results."""
    answer = post_register(client, "a*", ("a", image_file() if data is None else data))
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert answer.json["faces"][0]["name"] == "a"


@pytest.mark.parametrize(
    "keys",
    [
        ["a*b.png"],
        ["a", "a*b", "b"],
        ["a*", "*a", "*"],
        ["same.png", "same.png"],
        ['quotes".png', "two\nlines", "🙂 中文", "a/b", "%41"],
    ],
)
def test_names_are_matched_to_files(client: Any, keys: list[str]) -> None:
    """Names with an asterisk, equal names and escaped characters are all matched to their files."""
    files = [(key, image_file(number)) for number, key in enumerate(keys)]
    answer = post_register(client, "".join(key + "*" for key in keys), *files)
    assert [one["name"] for one in answer.json["faces"]] == keys, answer.text
    assert sorted(photo["name"] for photo in client.get("/api/v1/photos").json["photos"]) == sorted(keys)


def test_names_may_come_in_another_order_than_the_files() -> None:
    """The results follow the order of the names."""
    files: Any = {key: deque([object()]) for key in ("b", "a*b", "a")}
    assert split_names("a*a*b*b*", files) == ["a", "a*b", "b"]
    assert split_names("a*b*b*a*", files) == ["a*b", "b", "a"]


@pytest.mark.parametrize("names", ["", "*", "a", "a*b*", "a*a*", "b*"])
def test_names_that_do_not_fit_the_files_are_refused(names: str) -> None:
    """A missing name, an unlisted one and a missing asterisk at the end are refused."""
    with pytest.raises(RefusedError) as caught:
        split_names(names, {"a": deque([object()])})  # type: ignore[dict-item]
    assert caught.value.status == 400


def test_a_form_without_names_is_refused(client: Any) -> None:
    """Registering and retrieving without names give 400."""
    assert client.post("/faceRegister", data={"a": sent(image_file(1))}).status_code == 400
    assert client.post("/faceRetrieve", data={"a": sent(image_file(1))}).status_code == 400
    assert client.post("/faceRetrieve", data={"name": "b", "a": sent(image_file(1))}).status_code == 400


def test_only_the_nearest_faces_are_retrieved(make_app: Any) -> None:
    """At most `max_matches` faces are returned, however large the gallery is."""
    client = make_app(ServerOptions(max_matches=2)).test_client()
    for name, number in (("eve", 240), ("ada", 1), ("joy", 100)):
        post_register(client, f"{name}.png*", (f"{name}.png", image_file(number)))
    answer = client.post("/faceRetrieve", data={"name": "q", "q": sent(image_file(240))}).json["faces"]
    assert len(answer) == 2
    assert answer[0]["distance"] < answer[1]["distance"]


def test_all_faces_are_retrieved_by_ascending_squared_distance(client: Any, gallery: Gallery) -> None:
    """The distances agree with brute force over all vectors of the gallery."""
    for name, number in (("ada", 1), ("bob", 120), ("eve", 240)):
        post_register(client, f"{name}.png*", (f"{name}.png", image_file(number)))
    answer = client.post("/faceRetrieve", data={"name": "q", "q": sent(image_file(240))}).json["faces"]
    assert [sorted(one) for one in answer] == [["distance", "path"]] * 3
    stored = gallery.people.named_vectors(most_people=9, most_faces=9)
    query = stored.vectors[stored.names.index("eve")]
    expected = sorted(float(np.sum((vector - query) ** 2)) for vector in stored.vectors)
    assert [one["distance"] for one in answer] == pytest.approx(expected, abs=1e-5)
    shown = [client.get(f"/{one['path'].rpartition('/')[0]}").json["name"] for one in answer]
    assert shown == ["eve.png", "bob.png", "ada.png"]


def test_the_path_of_a_match_is_an_image(client: Any, gallery: Gallery, tmp_path: Path) -> None:
    """The path is that of the photo, or of the face if the file is missing, relative to the root."""
    post_register(client, "ada.png*", ("ada.png", image_file(1)))
    (tmp_path / "gone.png").write_bytes(image_file(90))
    list(gallery.register(tmp_path / "gone.png"))
    (tmp_path / "gone.png").unlink()
    answer = client.post("/faceRetrieve", data={"name": "q", "q": sent(image_file(1))}).json["faces"]
    assert [one["path"].rpartition("/")[2] for one in answer] == ["image", "thumbnail"]
    assert all(client.get(f"/{one['path']}").mimetype == "image/jpeg" for one in answer)


def test_coordinates_are_truncated_and_clipped(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coordinates are truncated as the old server did (12.9 is 12), and boxes stay within the image."""
    box = np.array([[-3.7, 12.9, 130.2, 80.5]], np.float32)
    points = np.array([[[1.9, 2.9], [3.9, 4.9], [5.9, 6.9], [-1.5, 8.9], [9.9, 10.9]]], np.float32)
    found = Faces(box, np.array([0.9], np.float32), points)
    crops = np.full((1, 4, 4, 3), 90, np.uint8)
    monkeypatch.setattr(ColourDetector, "detect_batch", lambda self, images: [found] * len(images))
    monkeypatch.setattr(ColourEmbedder, "crop", lambda self, image, faces: crops)
    (shown,) = post_register(client, "a*", ("a", image_file(1))).json["faces"][0]["BoxsPoints"]
    assert shown == {"box": [0, 12, 120, 80], "pt": [1, 3, 5, -1, 9, 2, 4, 6, 8, 10]}


@pytest.mark.parametrize("squares", [None, TWO_FACES])
def test_a_query_has_exactly_one_face(client: Any, squares: Any) -> None:
    """A query image without a face or with two faces is refused."""
    answer = client.post("/faceRetrieve", data={"name": "q", "q": sent(image_file(squares))})
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "unprocessable")


def test_an_empty_gallery_has_no_faces(client: Any) -> None:
    """An empty gallery gives an empty list."""
    assert client.post("/faceRetrieve", data={"name": "q", "q": sent(image_file(1))}).json == {"faces": []}


def test_an_image_is_called_like_its_file(client: Any) -> None:
    """Images keep their file names; two images with equal names are both kept."""
    files = [("first", "same.png", image_file(1)), ("second", "same.png", image_file(2))]
    answer = client.post("/faceRegister", **browser_form([("names", "first*second*")], files))
    assert [(one["name"], len(one["BoxsPoints"])) for one in answer.json["faces"]] == [("same.png", 1)] * 2
    assert client.get("/api/v1/photos").json["total"] == 2


def test_old_pages_redirect_to_new_ones(client: Any) -> None:
    """Addresses of the old pages redirect to the new ones."""
    for old, new in (("/faceRegister.html", "/"), ("/faceRetrieve.html", "/search")):
        answer = client.get(old)
        assert (answer.status_code, answer.headers["Location"]) == (302, new)


def test_urls_are_registered_under_their_urls(make_app: Callable[..., Any]) -> None:
    """A bad URL does not affect the others; if all are bad the status is an error."""
    urls = {"http://images.example/1.png": image_file(1), "http://images.example/2.png": image_file(2)}
    client = make_app(fetcher=FakeFetcher(urls)).test_client()
    given = [*urls, "http://gone.example/x.png"]
    answer = client.post("/faceRegisterBatch", json={"urls": given})
    assert answer.status_code == 200
    assert [(one["name"], len(one["BoxsPoints"])) for one in answer.json["faces"]] == list(
        zip(given, (1, 1, 0), strict=True)
    )
    assert answer.json["faces"][2]["error"]["code"] == "unprocessable"
    assert client.post("/faceRegisterBatch", json={"urls": given[2:]}).status_code == 422
    assert [photo["name"] for photo in client.get("/api/v1/photos").json["photos"]] == given[:2]


def test_a_batch_is_json_with_any_content_type(make_app: Callable[..., Any]) -> None:
    """A batch is read as JSON with any content type, as the old pages send it."""
    client = make_app(fetcher=FakeFetcher({"http://images.example/1.png": image_file(1)})).test_client()
    for kind in ("application/x-www-form-urlencoded", "text/plain", None):
        body = '{"urls": ["http://images.example/1.png"]}'
        assert client.post("/faceRegisterBatch", data=body, content_type=kind).status_code == 200


@pytest.mark.parametrize("body", [{}, {"urls": []}, {"urls": ["http://x.example/"] * 101}, {"urls": [1]}, [], "urls"])
def test_an_invalid_batch_is_refused(client: Any, body: Any) -> None:
    """An empty batch, a too long one and entries that are not strings are refused."""
    answer = client.post("/faceRegisterBatch", json=body)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_request")
