"""No response reveals paths on the server's disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from images_for_forms import TWO_FACES, image_file, register, sent

from faceall.gallery import Gallery
from faceall.gallery.embedded import EmbeddedStore

API = "/api/v1"
BY_ID = (
    "people/{}",
    "faces/{}",
    "faces/{}/thumbnail",
    "faces?photo={}",
    "photos/{}",
    "photos/{}/image",
    "photos?person={}",
)


@pytest.fixture
def filled(client: Any, gallery: Gallery, tmp_path: Path) -> Any:
    """Return a client of a gallery with uploads, files added by command, and a missing file."""
    for number, name in enumerate(("photos/Ada/1.png", "photos/Eve.png", "photos/IMG_1.png", "photos/gone.png")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(image_file(50 * number))
    list(gallery.register(tmp_path / "photos"))
    (tmp_path / "photos/gone.png").unlink()
    register(client, (image_file(TWO_FACES), "Joy/two.png"), (image_file(9), "nobody.png"))
    return client


def responses(client: Any) -> list[Any]:
    """Return responses of every route: successes and every kind of error."""
    found = [client.get(f"{API}/{address}") for address in ("health", "status", "people", "faces", "photos")]
    people = [person["id"] for person in found[2].json["people"]]
    faces = [face["id"] for face in found[3].json["faces"]]
    photos = [photo["id"] for photo in found[4].json["photos"]]
    assert people
    assert len(photos) == 6
    for number in (*range(12), 1 << 62, 1 << 64):
        found += [client.get(f"{API}/{address.format(number)}") for address in BY_ID]
    files = [
        (image_file(50), "again.png"),
        (image_file(100), "nearly.png"),
        (b"", "0.png"),
        (b"x", "x.png"),
        (image_file()[:90], "y"),
        (image_file(), "nobody"),
    ]
    found.append(client.post(f"{API}/register?wait=true", data={"files": [sent(*file) for file in files]}))
    found.append(client.post(f"{API}/register?wait=true", data={"files": sent(image_file(50), "z"), "person": "Zoe"}))
    job = client.post(f"{API}/register", data={"files": sent(image_file(1), "..")}).json["job"]["id"]
    found += [client.get(f"{API}/jobs/{job}/events"), client.get(f"{API}/jobs/{job}"), client.get(f"{API}/jobs/none")]
    found.append(client.post(f"{API}/register?wait=true", json={"urls": ["http://127.0.0.1/x", "file:///etc/passwd"]}))
    for data in (image_file(1), image_file(TWO_FACES), b"", b"no image", image_file(3)[:100]):
        found += [
            client.post(f"{API}/search", data={"file": sent(data)}),
            client.post(f"{API}/search", data={"file": sent(data), "by": "person"}),
            client.post(f"{API}/compare", data={"first": sent(data), "second": sent(image_file(2))}),
            client.post("/faceRegister", data={"names": "a*", "a": sent(data)}),
            client.post("/faceRetrieve", data={"name": "a", "a": sent(data)}),
        ]
    found += [
        client.get(address) for address in ("/", "/search", "/people", "/status", "/metrics", "/nothing", "/login")
    ]
    found += [client.get(f"/people/{person}") for person in people] + [
        client.get(f"/photos/{photo}") for photo in photos
    ]
    found += [
        client.patch(f"{API}/people/{people[0]}", json={"name": "Eve"}),
        client.patch(f"{API}/people/{people[0]}", json={"name": "\n"}),
        client.post(f"{API}/people/{people[0]}/split", json={"faces": faces[-1:]}),
        client.post(f"{API}/people/{people[0]}/split", json={"faces": [99]}),
        client.post(f"{API}/cluster"),
        client.put(f"{API}/people"),
        client.post(f"{API}/people/{people[0]}/merge", json={"into": people[1]}),
        client.delete(f"{API}/faces/{faces[1]}"),
        client.delete(f"{API}/faces/99"),
        client.delete(f"{API}/photos/{photos[-1]}"),
        client.delete(f"{API}/people/{people[1]}"),
        client.get(f"{API}/openapi.json"),
        client.post("/faceRegisterBatch", json={"urls": ["http://localhost/x.png"]}),
    ]
    return found


def test_no_response_has_a_path(filled: Any, tmp_path: Path) -> None:
    """No header or body has a path of the gallery, the photos or the program."""
    hidden = [str(tmp_path), str(tmp_path.resolve()), str(Path(__file__).parents[2]), "faces.db", "uploads/"]
    hidden += [json.dumps(str(tmp_path))[1:-1], tmp_path.name]
    statuses = set()
    for answer in responses(filled):
        statuses.add(answer.status_code)
        text = f"{answer.headers}\n{answer.get_data().decode('utf-8', 'replace')}"
        found = [secret for secret in hidden if secret in text]
        assert not found, (answer.request.path, found, text[:3000])
    assert statuses >= {200, 400, 404, 405, 409, 415, 422}


def test_photos_are_named_by_their_file_names(filled: Any) -> None:
    """Photos added by command have their file name, uploads the given name."""
    names = [photo["name"] for photo in filled.get(f"{API}/photos").json["photos"]]
    assert sorted(names) == ["1.png", "Eve.png", "IMG_1.png", "Joy/two.png", "gone.png", "nobody.png"]


def test_the_messages_about_known_images_name_no_path(filled: Any) -> None:
    """The message about a duplicate has only the other file's name."""
    (result,) = register(filled, (image_file(50), "copy.png"))
    assert (result["status"], result["message"]) == ("duplicate", "the same photo as Eve.png")


def test_no_response_has_the_address_of_milvus(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of a gallery in Milvus do not reveal its address."""
    monkeypatch.setattr(EmbeddedStore, "name", "milvus://db.internal:19530/faces")
    other = make_app().test_client()
    answer = other.get(f"{API}/faces/77")
    assert answer.status_code == 404
    assert "the gallery" in answer.json["error"]["message"]
    assert "db.internal" not in answer.get_data(as_text=True)
