"""The pages as the server writes them; in a browser they are tested in `browser/`."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from images_for_forms import TWO_FACES, image_file, register, sent

from faceall.gallery import Gallery
from faceall.web.pages import paging
from faceall.web.pages.context import duration, local_address, shown_name
from faceall.web.pages.texts import load_texts

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NASTY = '<b>Ada</b> & "Bob\'s"'


def page(client: Any, path: str, **headers: str) -> tuple[int, str]:
    """Return the status and the text of a page, without tags."""
    answer = client.get(path, headers={**HTML, **headers})
    return answer.status_code, plain(answer.get_data(as_text=True))


def plain(html: str) -> str:
    """Return the text of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html[html.index("<body") :])).split())


def boxes_in(html: str) -> int:
    """Count the framed faces of a page."""
    return len(re.findall(r'<g class="[^"]*"><rect ', html))


def form(**fields: Any) -> dict[str, Any]:
    """Submit a form as a browser without scripts does; bytes are files."""
    data = {
        key: (io.BytesIO(value), f"{key}.png") if isinstance(value, bytes) else value for key, value in fields.items()
    }
    return {"data": data, "content_type": "multipart/form-data", "headers": HTML}


@pytest.fixture
def ada(client: Any) -> int:
    """Register a person whose name has HTML characters, on a photo with a second face; return her id."""
    [result] = register(client, (image_file(TWO_FACES), "two.png"), person=NASTY)
    return int(result["person"]["id"])


@pytest.mark.parametrize("path", ["/", "/search", "/people", "/status"])
def test_pages_of_an_empty_gallery(client: Any, path: str) -> None:
    """Every page of an empty gallery is shown in the requested language."""
    for language in ("en", "zh"):
        answer = client.get(path, headers={**HTML, "Accept-Language": language})
        assert answer.status_code == 200
        assert answer.headers["Content-Language"] == language
        assert {"Accept-Language", "Cookie"} <= set(answer.vary)
        name = {"/": "register"}.get(path, path.strip("/"))
        assert load_texts(language)(f"{name}.title") in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [("zh-TW,zh;q=0.9,en;q=0.8", "zh"), ("zh-Hans-CN", "zh"), ("de,fr;q=0.5", "en"), ("de,zh;q=0.5", "zh"), ("", "en")],
)
def test_the_language_follows_accept_language(client: Any, asked: str, spoken: str) -> None:
    """Any variant of Chinese gives Chinese; other languages give English."""
    assert client.get("/", headers={"Accept-Language": asked}).headers["Content-Language"] == spoken


def test_a_choice_stays(client: Any) -> None:
    """Language and colours are kept in cookies, which take precedence; invalid values are ignored."""
    answer = client.post("/preferences", data={"language": "zh", "theme": "dark", "next": "/people?q=a"})
    assert (answer.status_code, answer.location) == (302, "/people?q=a")
    cookies = answer.headers.getlist("Set-Cookie")
    assert all("HttpOnly" in cookie and "SameSite" in cookie for cookie in cookies)
    shown = client.get("/", headers={"Accept-Language": "en"}).get_data(as_text=True)
    assert '<html lang="zh-Hans" data-theme="dark">' in shown
    nonsense = client.post("/preferences", data={"language": "tlh", "theme": "neon"})
    assert nonsense.headers.getlist("Set-Cookie") == []


@pytest.mark.parametrize(
    "address",
    [
        "https://bad.example/",
        "//bad.example/",
        "/\\bad.example",
        "javascript:alert(1)",
        "",
        "people",
        "/a\nb",
        "http:/x",
    ],
)
def test_redirects_stay_on_this_server(address: str) -> None:
    """A form redirects to a page of this server only."""
    assert local_address(address) == "/"


def test_names_are_text(client: Any, ada: int) -> None:
    """A name that looks like HTML is escaped on every page that shows it."""
    for path in ("/people", f"/people/{ada}", "/photos/1", f"/photos?with={ada}&without={ada}"):
        html = client.get(path, headers=HTML).get_data(as_text=True)
        assert "<b>Ada" not in html
        assert "&lt;b&gt;Ada&lt;/b&gt; &amp; &#34;Bob&#39;s&#34;" in html


def test_people_are_filtered(client: Any, ada: int) -> None:
    """People are filtered by a part of the name, and by whether they have one."""
    assert NASTY in page(client, "/people?q=ADA")[1]
    assert "No name contains “Zoe”." in page(client, "/people?q=Zoe")[1]
    assert NASTY not in page(client, "/people?unnamed=only")[1]
    assert NASTY in page(client, "/people?unnamed=none")[1]
    assert page(client, "/people?unnamed=maybe")[0] == 400
    assert "1 face has no name yet." in page(client, "/people")[1]


def test_unassigned_faces_are_shown_with_the_unnamed(client: Any, ada: int) -> None:
    """Unassigned faces are shown, with a field for the name, on the page of unnamed people only."""
    html = client.get("/people?unnamed=only", headers=HTML).get_data(as_text=True)
    assert html.count("data-face=") == 1
    assert "Faces without a name" in plain(html)
    assert "Faces without a name" not in page(client, "/people")[1]


def test_all_photos_of_a_person(client: Any, ada: int) -> None:
    """Whole photos are shown with the person's own faces framed, and no other faces."""
    register(client, (image_file(7), "one.png"), person=NASTY)
    register(client, (image_file(9), "other.png"), person="Bob")
    html = client.get(f"/people/{ada}?show=photos", headers=HTML).get_data(as_text=True)
    assert boxes_in(html) == 2
    assert "one.png" in html
    assert "other.png" not in html
    assert page(client, f"/people/{ada}?show=films")[0] == 400


def test_problems_are_shown_in_chinese(client: Any, ada: int) -> None:
    """A message of the server is translated."""
    said = page(client, "/people?page=none", **{"Accept-Language": "zh"})[1]
    assert load_texts("zh")("remarks.malformed") in said


def test_long_lists_have_pages(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links lead to the next and previous page and keep the query."""
    monkeypatch.setattr(paging, "PEOPLE_PER_PAGE", 2)
    for number in range(5):
        register(client, (image_file(30 + 20 * number), f"{number}.png"), person=f"Ada {number}")
    html = client.get("/people?q=Ada&page=2", headers=HTML).get_data(as_text=True)
    assert "Page 2 of 3" in html
    links = {unescape(link) for link in re.findall(r'rel="(?:prev|next)" href="([^"]*)"', html)}
    assert links == {"/people?q=Ada&page=1", "/people?q=Ada&page=3"}
    assert "Ada 2" in html
    assert "Ada 4" not in plain(html).split("Page 2 of 3")[0].split("Find")[-1]
    assert page(client, "/people?page=0")[0] == 400


def test_a_photo_is_shown_with_its_faces(client: Any, ada: int) -> None:
    """Boxes and landmarks of both faces are drawn; the selected face is marked, one of another photo is not."""
    html = client.get("/photos/1", headers=HTML).get_data(as_text=True)
    assert boxes_in(html) == 2
    assert 'class="chosen"' not in html
    face = client.get("/api/v1/faces?person=" + str(ada)).get_json()["faces"][0]["id"]
    marked = client.get(f"/photos/1?face={face}", headers=HTML).get_data(as_text=True)
    assert (marked.count('class="chosen"'), marked.count('class="dim"')) == (1, 1)
    assert page(client, "/photos/1?face=99")[0] == 404


def test_not_found_is_a_translated_page(client: Any) -> None:
    """Browsers get a translated page, programs the error format, with the same status."""
    for path in ("/people/9", "/photos/9", "/no/such/page"):
        assert page(client, path) == (404, page(client, "/people/9")[1])
        assert load_texts("zh")("problem.not_found") in page(client, path, **{"Accept-Language": "zh"})[1]
        assert client.get(path).get_json()["error"]["code"] == "not_found"
    refused = client.delete("/people", headers=HTML)
    assert refused.status_code == 405
    assert refused.mimetype == "text/html"
    assert "GET" in refused.headers["Allow"]
    assert "Content-Security-Policy" in refused.headers


def test_registering_without_scripts(client: Any) -> None:
    """The response is a page with a card for every image; a form without images is reported."""
    answer = client.post("/", **form(files=image_file(TWO_FACES), person="Ada"))
    html = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert boxes_in(html.split("<template")[0]) == 2
    assert "Registered as Ada" in html
    empty = client.post("/", **form(files=(io.BytesIO(), ""), person="Ada", urls=" \r\n "))
    assert empty.status_code == 400
    assert "Choose photos or paste URLs first." in empty.get_data(as_text=True)


def test_a_broken_image_without_scripts(client: Any) -> None:
    """The card of a broken image has the error in the reader's language."""
    request = form(files=b"no image")
    request["headers"] = {**HTML, "Accept-Language": "zh"}
    said = plain(client.post("/", **request).get_data(as_text=True))
    assert load_texts("zh")("outcome.unreadable") in said
    assert load_texts("zh")("remarks.not_image") in said


def test_searching_without_scripts(client: Any, ada: int) -> None:
    """The response shows the image with its faces and the matches; a broken image is reported there."""
    answer = client.post("/search", **form(file=image_file(TWO_FACES), by="person", k="6"))
    html = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "data:image/png;base64," in html
    assert f'href="/people/{ada}"' in html
    assert "100%" in html
    broken = client.post("/search", **form(file=b"no image"))
    assert broken.status_code == 415
    assert '<form id="search"' in broken.get_data(as_text=True)


def test_scripts_get_the_results_alone(client: Any, ada: int) -> None:
    """With X-Piece the response is a part of the page, and an error is JSON as in the API."""
    request = form(file=image_file(TWO_FACES), by="face", k="6")
    request["headers"] = {"X-Piece": "yes", "Accept": "application/json"}
    piece = client.post("/search", **request).get_data(as_text=True)
    assert "<html" not in piece
    assert piece.count('class="answer stack') == 2
    broken = form(file=b"no image")
    broken["headers"] = request["headers"]
    assert client.post("/search", **broken).get_json()["error"]["code"] == "unsupported_media_type"


def test_no_page_has_a_path(client: Any, ada: int, folder: Any) -> None:
    """Photos are shown by name, and no page has the path of the gallery."""
    for path in ("/", "/people", f"/people/{ada}", "/photos/1", "/status"):
        assert str(folder) not in client.get(path, headers=HTML).get_data(as_text=True)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 seconds"),
        (1.9, "1 second"),
        (61, "1 minute 1 second"),
        (7500, "2 hours 5 minutes"),
        (90000, "1 day 1 hour"),
    ],
)
def test_durations(seconds: float, written: str) -> None:
    """A duration is in its two largest units that are not zero."""
    assert duration(load_texts("en"), seconds) == written


def test_names_of_groups() -> None:
    """A cluster without a name is shown by its number in the reader's language; a person is not."""
    chinese = load_texts("zh")
    assert shown_name(chinese, {"name": "unnamed 12", "unnamed": True}) == "未命名 12"
    assert shown_name(chinese, {"name": "unnamed 12", "unnamed": False}) == "unnamed 12"
    assert shown_name(chinese, None) == chinese("common.unassigned")


def test_static_files_are_found(client: Any, app: Any, make_app: Callable[..., Any]) -> None:
    """Every style sheet and script that a page names exists and has the right type."""
    for path in ("/", "/search", "/people", "/status"):
        html = client.get(path, headers=HTML).get_data(as_text=True)
        for address in re.findall(r'(?:href|src)="(/static/[^"]*)"', html):
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert answer.mimetype in ("text/css", "text/javascript", "image/svg+xml")


def test_photos_link_to_their_neighbours(client: Any) -> None:
    """Photos link to their neighbours in the gallery or among a person's photos; the ends have only one."""
    names = ["Ada/1.png", "Eve/1.png", "Ada/2.png", "Eve/2.png", "Ada/3.png"]
    results = register(client, *((image_file(number * 20), name) for number, name in enumerate(names)))
    ids = [result["photo"] for result in results]
    ada = results[0]["person"]["id"]

    def neighbours(photo: int, query: str = "") -> list[str]:
        html = client.get(f"/photos/{photo}{query}").text
        return re.findall(r'rel="(?:prev|next)" id="\w+" href="([^"]+)"', html)

    assert neighbours(ids[0]) == [f"/photos/{ids[1]}"]
    assert neighbours(ids[2]) == [f"/photos/{ids[1]}", f"/photos/{ids[3]}"]
    assert neighbours(ids[4]) == [f"/photos/{ids[3]}"]
    among = f"?person={ada}"
    assert neighbours(ids[2], among) == [f"/photos/{ids[0]}{among}", f"/photos/{ids[4]}{among}"]
    assert client.get(f"/photos/{ids[0]}?person=999").status_code == 404


def test_unassigned_faces_have_pages(client: Any, gallery: Gallery) -> None:
    """Unassigned faces are listed by size, 60 per page; the last page has no next link."""
    for number in range(3):
        squares = [(x, y, 8 + number, (1 + x, 1 + y, 50 + number)) for x in range(0, 110, 15) for y in range(0, 80, 15)]
        with_faces = image_file(squares, width=120, height=90)
        client.post("/api/v1/register?wait=true", data={"files": [sent(with_faces)], "unnamed": "true"})
    total = gallery.faces.page(unassigned=True, limit=0).total
    assert 120 < total <= 180
    seen: list[int] = []
    address: str | None = "/people?unnamed=only"
    while address:
        page = client.get(address).text
        seen += [int(face) for face in re.findall(r'<li class="tile" data-face="(\d+)"', page)]
        found = re.search(r'id="more-faces" href="([^"]+)"', page)
        address = found[1].replace("&amp;", "&") if found else None
    assert len(seen) == len(set(seen)) == total
    sides = [gallery.faces.get(face).box[2] - gallery.faces.get(face).box[0] for face in seen]
    assert sides == sorted(sides, reverse=True)


def test_hidden_people_and_faces_have_a_page(client: Any, gallery: Gallery) -> None:
    """Hidden people and faces are listed only on the page Hidden."""
    client.post("/api/v1/register?wait=true", data={"files": [sent(image_file(1), "ada/1.png")]})
    client.post("/api/v1/register?wait=true", data={"files": [sent(image_file(2))], "unnamed": "true"})
    (loose,) = gallery.faces.page(unassigned=True).items
    client.post("/api/v1/people/hide", json={"people": [gallery.people.get("ada").id]})
    assert client.post("/api/v1/faces/hide", json={"faces": [loose.face_id]}).json == {"faces": 1}
    assert "data-person" not in client.get("/people").text
    page = client.get("/people?unnamed=hidden").text
    assert 'data-name="ada"' in page
    assert f'data-face="{loose.face_id}"' in page
    assert client.post("/api/v1/faces/show", json={"faces": [loose.face_id]}).json == {"faces": 1}


def test_many_people_are_merged_and_unnamed_at_once(client: Any, gallery: Gallery) -> None:
    """Each is one change that one undo reverts; merging a person with itself is a conflict."""
    for name in ("ada", "bob", "eve"):
        client.post(
            "/api/v1/register?wait=true", data={"files": [sent(image_file(len(name) + ord(name[0])), f"{name}/1.png")]}
        )
    ids = {name: gallery.people.get(name).id for name in ("ada", "bob", "eve")}
    merged = client.post("/api/v1/people/merge", json={"people": list(ids.values()), "into": ids["ada"]}).json
    assert (merged["name"], merged["faces"]) == ("ada", 3)
    assert client.post("/api/v1/people/merge", json={"people": [ids["ada"]], "into": ids["ada"]}).status_code == 409
    gallery.people.undo()
    assert client.post("/api/v1/people/unname", json={"people": list(ids.values())}).json == {"faces": 3}
    gallery.people.undo()
    assert [person.name for person in gallery.people] == ["ada", "bob", "eve"]
    similar = client.get(f"/api/v1/people/{ids['ada']}/similar").json["people"]
    assert [one["distance"] for one in similar] == sorted(one["distance"] for one in similar)
    assert {one["name"] for one in similar} == {"bob", "eve"}


def test_a_missed_face_is_added_by_its_box(client: Any, gallery: Gallery) -> None:
    """The box becomes a face; an invalid body is refused, and a removed face can be found again."""
    client.post(
        "/api/v1/register?wait=true", data={"files": [sent(image_file(1, width=300, height=200))], "unnamed": "true"}
    )
    (photo,) = gallery.photos.page().items
    added = client.post(f"/api/v1/photos/{photo.photo_id}/faces", json={"box": [150, 20, 200, 80]})
    assert added.json["person"] is None
    for wrong in ([1, 2, 3], "box", [1, 2, 3, True], [1, 2, 3, 1e9]):
        assert client.post(f"/api/v1/photos/{photo.photo_id}/faces", json={"box": wrong}).status_code == 400
    for elsewhere in ([5, 5, 6, 6], [150, 20, 200, 80]):  # too small, and already a face
        assert client.post(f"/api/v1/photos/{photo.photo_id}/faces", json={"box": elsewhere}).status_code == 409
    client.delete(f"/api/v1/faces/{photo.faces[0].face_id}")
    assert len(client.post(f"/api/v1/photos/{photo.photo_id}/find-faces").json["faces"]) == 1


def test_photos_are_found_with_and_without_people(client: Any) -> None:
    """Names are added to the query, a chip removes one; an unknown name and a wrong date are reported."""
    [both] = register(client, (image_file(TWO_FACES), "two.png"), person="Ada")
    other = next(face["id"] for face in both["faces"] if face["person"] is None)
    client.patch(f"/api/v1/faces/{other}", json={"person": "Bob"})
    register(client, (image_file(30), "one.png"), person="Ada")
    ada, bob = (client.get(f"/api/v1/people?q={name}").get_json()["people"][0]["id"] for name in ("Ada", "Bob"))
    answer = client.get("/photos?with_name=Ada&without_name=Bob", headers=HTML)
    assert (answer.status_code, answer.location) == (302, f"/photos?with={ada}&without={bob}")
    _, text = page(client, answer.location)
    assert "1 photo" in text
    assert "one.png" in text
    assert "two.png" not in text
    html = client.get(answer.location, headers=HTML).get_data(as_text=True)
    assert f'href="/photos?with={ada}" aria-label="Remove Bob"' in unescape(html)
    for query, problem in (("with_name=Nobody", "Nobody"), ("since=soon", "soon")):
        status, text = page(client, f"/photos?{query}")
        assert status == 400
        assert problem in text


def test_people_are_listed_with_initials_and_in_an_order(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of several pages have links to the initials; the order is kept in the links."""
    monkeypatch.setattr(paging, "PEOPLE_PER_PAGE", 2)
    for number, name in enumerate(("Ada", "Bob", "Eve")):
        register(client, (image_file(30 + 20 * number), f"{name}.png"), person=name)
    html = client.get("/people", headers=HTML).get_data(as_text=True)
    assert re.findall(r'data-offset="(\d)">(\w)</a>', html) == [("0", "A"), ("1", "B"), ("2", "E")]
    html = client.get("/people?sort=newest", headers=HTML).get_data(as_text=True)
    assert re.findall(r'data-name="(\w+)"', html) == ["Eve", "Bob"]
    assert 'id="letters"' in html
    assert 'data-offset="0" data-total="3"' in html
