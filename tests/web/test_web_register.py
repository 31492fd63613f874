"""Registering images over the network: results, jobs, events, uploads."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from images_for_forms import TWO_FACES, encoded, image_file, register, sent
from PIL import Image as PillowImage
from stand_ins import ColourDetector, ColourEmbedder

from faceall.gallery import Gallery
from faceall.gallery.registration import scan
from faceall.images.metadata import Metadata
from faceall.web import ServerOptions
from faceall.web.app import close_app, create_app
from faceall.web.fetch.fetcher import Fetched, Fetcher
from faceall.web.refusal import FetchError
from faceall.web.security.decoding import CheckedImage
from faceall.web.work.uploads import Uploads

API = "/api/v1"
NAMES = [
    "plain.png",
    "folder/inside/x.png",
    "a*b?.png",
    "\"quotes' & <tags>.png",
    "🙂 中文 é.png",
    "two\nlines.png",
    "..",
    "../../etc/passwd",
    "CON.png",
    ".hidden",
    "ends with a dot.",
    " spaces ",
    "100%25.png",
    "-rf",
    "very long " * 90 + ".png",
    "長" * 300,
]


def uploads_in(folder: Path) -> list[Path]:
    """Return every file in the folder of uploads."""
    return sorted(path for path in (folder / "uploads").rglob("*") if path.is_file() and path.name != ".server")


class FakeFetcher(Fetcher):
    """Fetcher that returns given images without a network."""

    def __init__(self, images: dict[str, bytes], pause: float = 0.0) -> None:
        super().__init__()
        self._images, self._pause = images, pause

    def fetch(self, url: str) -> Fetched:
        """Return the image, or raise the error of a failed download."""
        time.sleep(self._pause)
        if url not in self._images:
            raise FetchError(f"{url}: cannot be reached at a public address")
        return Fetched(self._images[url], "x.png", "image/png")


def test_every_image_gets_its_own_result(client: Any) -> None:
    """Every kind of bad image has its own status, in order, and does not affect the others."""
    whole = image_file(7)
    results = register(
        client,
        (image_file(1), "Ada.png"),
        (b"", "empty.png"),
        (b"no image", "text.png"),
        (whole[: len(whole) // 2], "cut.png"),
        (image_file(), "nobody.png"),
        (encoded(PillowImage.new("1", (20000, 20000))), "bomb.png"),
        (image_file(TWO_FACES), "two.png"),
    )
    assert [result["status"] for result in results] == [
        "registered",
        "unreadable",
        "unreadable",
        "unreadable",
        "no-face",
        "too-large",
        "registered",
    ]
    codes = [result.get("error", {}).get("code") for result in results]
    bad = "unsupported_media_type"
    assert codes == [None, bad, bad, bad, "unprocessable", "too_large", None]
    assert [len(result["faces"]) for result in results] == [1, 0, 0, 0, 0, 0, 2]
    assert all(result["message"] for result in results if "error" in result)


def test_useless_uploads_are_not_kept(client: Any, folder: Path, gallery: Gallery) -> None:
    """An upload without a face, or that is not an image, leaves neither a file nor a row."""
    register(client, (image_file(), "nobody.png"), (b"no image", "text.png"), (image_file(7)[:120], "cut.png"))
    assert uploads_in(folder) == []
    assert gallery.status().files == 0
    assert register(client, (image_file(), "nobody.png"))[0]["status"] == "no-face"


def test_people_follow_from_file_names_on_request(client: Any) -> None:
    """Folders give the person, files with `names_from=files`; `person` and `unnamed` override them."""
    photos = ((image_file(1), "Ada/7.png"), (image_file(2), "eve_3.png"), (image_file(3), "IMG_0042.png"))
    results = register(client, *photos)
    assert [(one["person"] or {}).get("name") for one in results] == ["Ada", None, None]
    results = register(
        client, *((image_file(number + 10), name) for number, (_, name) in enumerate(photos)), names_from="files"
    )
    assert [(one["person"] or {}).get("name") for one in results] == ["Ada", "eve", None]
    response = client.post("/api/v1/register", data={"files": sent(image_file(1), "a.png"), "names_from": "stems"})
    assert (response.status_code, "folders, files" in response.json["error"]["message"]) == (400, True)
    assert register(client, (image_file(4), "Ada/8.png"), unnamed="true")[0]["person"] is None
    assert register(client, (image_file(5), "Ada/9.png"), person="Joy")[0]["person"]["name"] == "Joy"


def test_a_given_person_reassigns_a_known_photo(client: Any) -> None:
    """The same image with another person is reassigned; without a person it is not."""
    register(client, (image_file(1), "Ada/1.png"))
    assert register(client, (image_file(1), "Eve/1.png"))[0]["person"]["name"] == "Ada"
    again = register(client, (image_file(1), "Ada/1.png"), person="Eve")[0]
    assert (again["status"], again["person"]["name"]) == ("reassigned", "Eve")


def test_images_with_equal_names_are_both_kept(client: Any) -> None:
    """Different images with equal names are both kept and shown."""
    results = register(client, (image_file(1), "same.png"), (image_file(200), "same.png"))
    assert [result["status"] for result in results] == ["registered", "registered"]
    first, second = (client.get(f"{API}/photos/{result['photo']}/image").data for result in results)
    assert not np.array_equal(np.asarray(PillowImage.open(io.BytesIO(first))), PillowImage.open(io.BytesIO(second)))


def test_equal_images_are_one_photo(client: Any, folder: Path) -> None:
    """An equal image with another name is a duplicate of the first, and both names are kept."""
    results = register(client, (image_file(1), "one.png"), (image_file(1), "other.png"), (image_file(1), "one.png"))
    assert [result["status"] for result in results] == ["registered", "duplicate", "unchanged"]
    assert results[1]["message"] == "the same photo as one.png"
    assert len({result["photo"] for result in results}) == 1
    assert [path.name for path in uploads_in(folder)] == ["one.png", "other.png"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_returned_unchanged(client: Any, folder: Path, name: str) -> None:
    """The result and the photo have the name unchanged; the file is in the folder of uploads."""
    result = register(client, (image_file(1), name))[0]
    assert (result["status"], result["name"]) == ("registered", name)
    assert client.get(f"{API}/photos/{result['photo']}").json["name"] == name
    assert len(uploads_in(folder)) == 1
    assert client.get(f"{API}/photos/{result['photo']}/image").status_code == 200


def test_too_long_a_name_is_refused(client: Any) -> None:
    """The image has its own error, and the others are registered."""
    results = register(client, (image_file(1), "x" * 1001), (image_file(2), "y.png"))
    assert [result["status"] for result in results] == ["failed", "registered"]
    assert results[0]["error"]["code"] == "bad_request"


@pytest.mark.parametrize("kind", ["gray", "cmyk", "sixteen", "palette", "alpha"])
def test_images_of_all_kinds_are_registered(client: Any, kind: str) -> None:
    """Gray, CMYK, 16-bit, palette and transparent images are registered."""
    gray = PillowImage.fromarray(np.pad(np.full((40, 40), 200, np.uint8), 30))
    kinds = {
        "gray": lambda: encoded(gray),
        "cmyk": lambda: encoded(gray.convert("CMYK"), "TIFF"),
        "sixteen": lambda: encoded(PillowImage.fromarray(np.asarray(gray).astype(np.uint16) * 257)),
        "palette": lambda: encoded(gray.convert("P")),
        "alpha": lambda: encoded(PillowImage.merge("LA", (gray, gray.point(lambda _: 255)))),
    }
    result = register(client, (kinds[kind](), f"{kind}.x"))[0]
    assert (result["status"], result["width"], result["height"]) == ("registered", 100, 100)
    assert result["faces"][0]["box"] == [30, 30, 70, 70]


def test_boxes_are_those_of_the_upright_photo(client: Any) -> None:
    """An image with an EXIF orientation is registered and shown upright."""
    image = PillowImage.open(io.BytesIO(image_file([(0, 0, 30, (9, 9, 200))]))).transpose(
        PillowImage.Transpose.ROTATE_90
    )
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    result = register(client, (encoded(image, exif=exif), "turned.png"))[0]
    assert (result["width"], result["height"], result["faces"][0]["box"]) == (120, 90, [0, 0, 30, 30])
    shown = PillowImage.open(io.BytesIO(client.get(f"{API}/photos/{result['photo']}/image").data))
    assert shown.size == (120, 90)


def test_too_large_a_file_is_refused(make_app: Callable[..., Any]) -> None:
    """A too large file has its own error; a too large request is refused as a whole."""
    client = make_app(ServerOptions(max_file_bytes=20_000, max_request_bytes=100_000)).test_client()
    results = register(client, (b"\x89PNG" + b"\0" * 20_000, "big.png"), (image_file(1), "small.png"))
    assert [result["status"] for result in results] == ["too-large", "registered"]
    answer = client.post(f"{API}/register", data={"files": sent(b"\0" * 120_000)})
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "too_large")
    assert client.post(f"{API}/search", data={"file": sent(b"\0" * 30_000)}).status_code == 413


def test_too_many_images_are_refused(make_app: Callable[..., Any], folder: Path) -> None:
    """A request gives 413, a full queue 503 with Retry-After; no files are left."""
    client = make_app(ServerOptions(max_files=2, max_waiting=1)).test_client()
    three = [sent(image_file(number), f"{number}.png") for number in range(3)]
    answer = client.post(f"{API}/register", data={"files": three[:2]})
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    three = [sent(image_file(number), f"{number}.png") for number in range(3)]
    relaxed = make_app(ServerOptions(max_files=2)).test_client()
    assert relaxed.post(f"{API}/register", data={"files": three}).status_code == 413
    assert uploads_in(folder) == []


def test_a_job_is_followed_until_it_is_done(client: Any) -> None:
    """The response is 202; then the job's results appear one by one."""
    files = [sent(image_file(number), f"{number}.png") for number in range(5)]
    answer = client.post(f"{API}/register", data={"files": files})
    assert (answer.status_code, answer.json["job"]["total"]) == (202, 5)
    job = answer.json["job"]["id"]
    deadline = time.monotonic() + 60
    while (record := client.get(f"{API}/jobs/{job}").json)["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (record["done"], len(record["results"])) == (5, 5)
    assert client.get(f"{API}/jobs/unknown").status_code == 404


def events_of(text: str) -> list[tuple[str | None, str, dict[str, Any]]]:
    """Parse the id, type and data of every server-sent event."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "event" in fields:
            found.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return found


def test_events_resume_after_the_last_id(client: Any) -> None:
    """Events are numbered from 1; with Last-Event-ID only later ones are sent."""
    files = [sent(image_file(number), f"{number}.png") for number in range(3)]
    job = client.post(f"{API}/register", data={"files": files}).json["job"]["id"]
    answer = client.get(f"{API}/jobs/{job}/events")
    assert answer.mimetype == "text/event-stream"
    events = events_of(answer.text)
    assert [(number, kind) for number, kind, _ in events] == [
        ("1", "result"),
        ("2", "result"),
        ("3", "result"),
        (None, "done"),
    ]
    assert [data["name"] for _, kind, data in events if kind == "result"] == ["0.png", "1.png", "2.png"]
    assert events[-1][2]["done"] == 3
    rest = events_of(client.get(f"{API}/jobs/{job}/events", headers={"Last-Event-ID": "2"}).text)
    assert [number for number, _, _ in rest] == ["3", None]
    assert client.get(f"{API}/jobs/{job}/events", headers={"Last-Event-ID": "x"}).status_code == 400


def test_too_many_followers_are_refused_until_one_leaves(make_app: Callable[..., Any]) -> None:
    """Each stream holds a thread; closing one, also unread, frees its place."""
    client = make_app(ServerOptions(threads=2)).test_client()
    job = client.post(f"{API}/register", data={"files": sent(image_file(1))}).json["job"]["id"]
    held = client.get(f"{API}/jobs/{job}/events", buffered=False)
    refused = client.get(f"{API}/jobs/{job}/events")
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "busy")
    held.close()
    assert client.get(f"{API}/jobs/{job}/events").status_code == 200


def test_a_bad_url_does_not_affect_others(make_app: Callable[..., Any]) -> None:
    """Images are named by their URLs, without a person, in the given order."""
    urls = {f"http://images.example/{number}.png?x=ä&y={'z' * 300}": image_file(number) for number in range(3)}
    urls["http://images.example/page"] = b"<html>"
    client = make_app(fetcher=FakeFetcher(urls, pause=0.01)).test_client()
    given = [*urls, "http://gone.example/x.png", "file:///etc/passwd"]
    answer = client.post(f"{API}/register?wait=true", json={"urls": given})
    results = answer.json["job"]["results"]
    assert [result["name"] for result in results] == given
    statuses = [result["status"] for result in results]
    assert statuses == ["registered"] * 3 + ["unreadable", "failed", "failed"]
    assert all(result["person"] is None for result in results)
    named = client.post(f"{API}/register?wait=true", json={"urls": given[:1], "person": "Ada"}).json["job"]["results"]
    assert named[0]["person"]["name"] == "Ada"


def test_the_default_fetcher_refuses_internal_addresses(client: Any) -> None:
    """The app downloads with the SSRF-safe fetcher by default."""
    urls = ["http://127.0.0.1:8000/x.png", "http://169.254.169.254/latest/meta-data/", "http://[::1]/x.png"]
    results = client.post(f"{API}/register?wait=true", json={"urls": urls}).json["job"]["results"]
    assert [result["error"]["code"] for result in results] == ["unprocessable"] * 3


def test_concurrent_clients_lose_nothing(app: Any, gallery: Gallery) -> None:
    """While eight threads register and search, every photo is stored exactly once."""
    numbers = list(range(24))
    trouble: list[BaseException] = []

    def work(shift: int) -> None:
        try:
            client = app.test_client()
            for number in numbers[shift:] + numbers[:shift]:
                (result,) = register(client, (image_file(number), f"{number}.png"))
                assert result["faces"], result
                assert client.post(f"{API}/search", data={"file": sent(image_file(number))}).json["faces"][0]["matches"]
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            trouble.append(error)

    threads = [threading.Thread(target=work, args=(3 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert gallery.photos.page(limit=500).total == len(gallery) == len(numbers)
    assert gallery.index.problems() == []


def test_another_process_registers_and_removes_meanwhile(client: Any, folder: Path, tmp_path: Path) -> None:
    """Photos that another process registers are found at once; removed ones, and their uploads, are gone."""
    (shown,) = register(client, (image_file(1), "Ada.png"), person="Ada")
    path = tmp_path / "Joy.png"
    path.write_bytes(image_file(99))
    script = (
        "import sys; from stand_ins import *; from faceall.gallery import Gallery\n"
        "with Gallery.open(sys.argv[1], detector=ColourDetector(), embedder=ColourEmbedder()) as gallery:\n"
        "    print([result.status for result in gallery.register(sys.argv[2], names_from='files')])\n"
        "    gallery.people.remove('Ada')\n"
    )
    search_path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(path)],
        env={**os.environ, "PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "['added']", done.stderr
    assert [one["name"] for one in client.get(f"{API}/people").json["people"]] == ["Joy"]
    assert client.get(f"{API}/photos/{shown['photo']}").status_code == 404
    assert client.get(f"{API}/faces/{shown['faces'][0]['id']}/thumbnail").status_code == 404
    found = client.post(f"{API}/search", data={"file": sent(image_file(1))}).json["faces"][0]["matches"]
    assert [match["person"]["name"] for match in found] == ["Joy"]


def test_a_crash_leaves_no_upload_behind(client: Any, gallery: Gallery, folder: Path) -> None:
    """The next start removes complete and partial uploads that did not become photos."""
    register(client, (image_file(1), "Ada.png"))
    path = Uploads(gallery).save(image_file(3), "lost.png", CheckedImage(1200, Metadata())).path
    (path.parent / ".0123456789abcdef").write_bytes(b"half")
    assert len(uploads_in(folder)) == 3
    assert Uploads(gallery).remove_orphans() == 2
    assert [path.name for path in uploads_in(folder)] == ["Ada.png"]


def test_the_command_line_removes_uploads_too(client: Any, gallery: Gallery, folder: Path) -> None:
    """The command removes a person's uploads; other uploads, and files elsewhere, stay."""
    register(client, (image_file(1), "Ada/x.png"), (image_file(2), "Eve/x.png"), (image_file(2), "Eve/y.png"))
    gallery.people.remove("Eve")
    (left,) = uploads_in(folder)
    assert left.read_bytes() == image_file(1)
    assert [path.name for path in (folder / "uploads").iterdir() if path.is_dir()] == [left.parent.name]


def test_a_second_server_keeps_pending_uploads(gallery: Gallery, folder: Path) -> None:
    """Pending uploads of a running server are kept, and removed after it has ended."""
    first, second = Uploads(gallery), Uploads(gallery)
    assert first.lock()
    assert not second.lock()
    path = first.save(image_file(3), "coming.png", CheckedImage(1200, Metadata())).path
    app = create_app(gallery)
    assert close_app(app, 20)
    assert path.exists()
    first.close()
    assert second.lock()
    assert second.remove_orphans() == 1
    second.close()


def test_an_upload_is_hashed_and_inspected_once(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registration uses the digest and the metadata that the server read when it checked the file."""

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(scan, "read_metadata", refuse)
    monkeypatch.setattr(scan, "hashlib", SimpleNamespace(sha256=refuse))
    image = PillowImage.open(io.BytesIO(image_file(3)))
    exif = image.getexif()
    exif[0x0110] = "Camera 7"
    data = io.BytesIO()
    image.save(data, "PNG", exif=exif)
    app = create_app(gallery)
    (result,) = register(app.test_client(), (data.getvalue(), "Ada.png"))
    assert close_app(app, 20)
    assert result["status"] == "registered"
    digest = hashlib.sha256(data.getvalue()).digest()
    stored = gallery.photos.with_digest(digest)
    assert stored is not None
    assert stored.camera == "Camera 7"


def test_a_sweep_keeps_pending_uploads(gallery: Gallery, folder: Path) -> None:
    """Uploads that are being registered are not removed."""
    uploads = Uploads(gallery)
    upload = uploads.save(image_file(3), "coming.png", CheckedImage(1200, Metadata()))
    assert uploads.remove_orphans() == 0
    list(gallery.register(upload.path))
    photo = uploads.release(upload, keep=True)
    assert photo is not None
    assert uploads.name_of(photo.paths[0]) == "coming.png"
    assert uploads.remove_orphans() == 0


@pytest.mark.parametrize("kept", [False, True])
def test_a_gallery_that_was_moved_keeps_its_uploads(tmp_path: Path, folder: Path, kept: bool) -> None:
    """Uploads are shown after the gallery's folder was moved or restored from a backup."""
    moved = tmp_path / "elsewhere"

    def opened(place: Path) -> Gallery:
        return Gallery.open(place, detector=ColourDetector(), embedder=ColourEmbedder())

    with opened(folder) as gallery:
        app = create_app(gallery)
        (result,) = register(app.test_client(), (image_file(1), "Ada.png"))
        assert close_app(app, 20)
        if kept:
            gallery.index.backup(moved)
    if not kept:
        folder.rename(moved)
    with opened(moved) as gallery:
        app = create_app(gallery)
        client = app.test_client()
        assert client.get(f"{API}/photos/{result['photo']}").json["available"] is True
        assert client.get(f"{API}/photos/{result['photo']}/image").status_code == 200
        assert client.delete(f"{API}/photos/{result['photo']}").json["removed"]["uploads"] == 1
        assert uploads_in(moved) == []
        assert len(uploads_in(folder)) == kept
        assert close_app(app, 20)


def test_a_failing_gallery_fails_each_image_and_keeps_no_upload(
    client: Any, gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error gives a failed result, and no upload is left."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(gallery, "register_candidates", broken)
    results = register(client, (image_file(1), "a.png"), (image_file(2), "b.png"))
    assert [result["error"]["code"] for result in results] == ["internal", "internal"]
    assert uploads_in(folder) == []


def test_names_are_proposed_and_given(client: Any) -> None:
    """Folders in upload names propose a person; giving names assigns faces; invalid bodies give 400."""
    files = [sent(image_file(1), "Ada/1.png"), sent(image_file(2), "Ada/2.png")]
    job = client.post("/api/v1/register?wait=true", data={"files": files, "unnamed": "true"}).json["job"]
    photos = [result["photo"] for result in job["results"]]
    (found,) = client.post("/api/v1/names/proposals", json={"photos": photos}).json["proposals"]
    assert (found["name"], found["source"], found["person"], len(found["faces"])) == ("Ada", "Ada", True, 2)
    given = client.post("/api/v1/names", json={"names": [{"name": "Adele", "faces": found["faces"]}]})
    assert given.json == {"faces": 2}
    assert [person["name"] for person in client.get("/api/v1/people").json["people"]] == ["Adele"]
    assert client.get("/api/v1/jobs").json == {"running": 0, "waiting": 0}
    for wrong in ([], [1], [{"name": "Ada"}], [{"name": 7, "faces": [1]}], [{"name": "Ada", "faces": [1], "x": 1}]):
        assert client.post("/api/v1/names", json={"names": wrong}).status_code == 400


def test_a_truncated_jpeg_is_registered(client: Any) -> None:
    """The result has a note about the missing end; a search with the image finds its faces."""
    whole = encoded(PillowImage.effect_noise((40, 40), 80).convert("RGB"), "JPEG", quality=95)
    cut = whole[: len(whole) * 9 // 10]
    (result,) = register(client, (cut, "cut.jpg"))
    assert result["status"] == "registered"
    assert "truncated" in [note["kind"] for note in result["notes"]]
    assert client.post(f"{API}/search", data={"file": sent(cut, "cut.jpg")}).status_code == 200
