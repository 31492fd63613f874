"""Names that paths suggest, and which of them are kept after the faces were analysed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from threading import Event
from unittest.mock import Mock

import pytest
from stand_ins import Colour, ColourEmbedder, write_photo

from faceall.errors import FaceallError, UnknownPersonError
from faceall.gallery import Gallery, NamesFrom, describe_change, find_candidates
from faceall.gallery.naming import looks_like_person, person_in_name, person_in_stem
from faceall.gallery.registration.folder_names import FolderNames

RED, BLUE, GREEN = (250, 10, 10), (10, 10, 250), (10, 250, 10)

NAMELESS_FILES = (
    "IMG_0001",
    "IMG_E1234",
    "PXL_20240501_120000123.MP",
    "WhatsApp Image 2024-05-01 at 12.00",
    "WhatsApp Image 2024-05-01 at 12.00.00 (1)",
    "signal-2024-05-01-12-00-00-123",
    "Screenshot_20240501-120000",
    "Screenshot 2024-05-01 at 12.00.00",
    "Bildschirmfoto 2024-05-01 um 12.00.00",
    "DSC_1234-Edit",
    "IMG_0001 - Kopie",
    "IMG_0001 - Copy (2)",
    "received_1234567890",
    "FB_IMG_1234567890123",
    "20240501_120000",
    "2024-05-01",
    "550e8400-e29b-41d4-a716-446655440000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "P1000123",
    "GOPR0123",
    "DJI_0001",
    "MVIMG_20240501_120000",
    "IMG-20240501-WA0001",
    "image0",
    "photo",
    "Scan0001",
    "CIMG0042",
    "SAM_0042",
    "_MG_1234",
    "_MG_1234-Edit",
    "FullSizeRender",
    "Facetune_12-01-2019-10-20-30",
    "Foto vom 15.01.2024",
    "Screen Shot 2019-01-15 at 1.02.03 PM",
    "Captura de pantalla 2020-01-15 120000",
    "Unbenannt",
    "2024-01-15 Wedding",
    "2024-01-15 Italy",
    "1",
    "0042",
)
NAMED_FILES = {
    "ada": "ada",
    "ada_0001": "ada",
    "ada-2": "ada",
    "ada (3)": "ada",
    "Ada Lovelace": "Ada Lovelace",
    "Ada 2024-01-15": "Ada",
    "Ada 2024-01": "Ada",
    "Ada 15.01.2024": "Ada",
    "Ada_20240115_120000": "Ada",
    "Ada 2024-01-15 at 12.00.00": "Ada",
    "Ada - Kopie": "Ada",
    "Ada - Copy (2)": "Ada",
    "Ada_2-Edit": "Ada",
    "Ada final": "Ada",
    "Copy of Ada": "Ada",
    "Copy (2) of Ada": "Ada",
    "Kopie von Ada": "Ada",
    "2024-01-15 Bea": "Bea",
    "20240115_120000 Bea": "Bea",
    "15.01.2024 Bea 2": "Bea",
    "Sam Kemp": "Sam Kemp",
    "Zoe\u0308": "Zo\u00eb",
}
NAMELESS_FOLDERS = (
    "DCIM",
    "100APPLE",
    "101_PANA",
    "2024",
    "05",
    "2024-05",
    "Photos from 2024",
    "WhatsApp Images",
    "Downloads",
    "Summer 2019",
    "Camera Roll",
    "Screenshots",
    "Birthday party",
    "Our holidays",
    "Family",
    "iPhone backup",
    "Hochzeit Anna und Ben",
    "Saved Pictures",
    "New folder",
    "originals",
    "L.photoslibrary",
    "Ada.lrdata",
    "Final prints",
    "in",
    "img",
    "1",
    "d41d8cd98f00b204",
    "Neuer Ordner",
    "InstantUpload",
    "Google Photos",
    "Takeout",
    "Picasa",
    "Nextcloud",
    "Office",
    "nas",
    "05 Mai",
    "April 04",
    "Juin",
    "Klasse 3b",
    "Mariage",
    "Boda",
    "\u65c5\u884c",
    "\u5199\u771f",
    "\u0424\u043e\u0442\u043e",
    "Italy",
    "Italien",
    "05 New Zealand",
    "The Netherlands",
    "Gro\u00dfbritannien",
)
FIRST_NAMES = ("May", "Mai", "April", "June", "August", "Georgia", "Chad", "Jordan", "India", "Israel", "Kenya", "Sam")


def folder_of(photos: Path, name: str, colours: list[Colour], first: int = 0) -> Path:
    """Write a folder with a photo per colour."""
    for number, colour in enumerate(colours, first):
        write_photo(photos / name / f"{number}.png", [(40 + number % 5, 20 + len(name), 40 + number // 5, colour)])
    return photos / name


def names(gallery: Gallery) -> dict[str, int]:
    """Return the number of faces of every person."""
    return {person.name: person.faces for person in gallery.people}


@pytest.fixture
def gallery(open_gallery: object) -> Gallery:
    """A gallery with a model that states its match threshold."""
    from dataclasses import replace

    embedder = ColourEmbedder()
    manifest = replace(embedder.model.manifest, match_threshold=0.1, match_threshold_false_accept_rate=0.001)
    embedder.model = replace(embedder.model, manifest=manifest)
    return open_gallery(embedder=embedder)  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("stem", NAMELESS_FILES)
def test_files_of_cameras_and_programs_name_no_one(stem: str) -> None:
    """Counters, dates, hashes and words of programs in a file name are not names of people."""
    assert person_in_stem(stem) is None


@pytest.mark.parametrize(("stem", "person"), NAMED_FILES.items())
def test_dates_counters_copies_and_edits_are_stripped(stem: str, person: str) -> None:
    """The rest of a file name is the name of the person, in composed form."""
    assert person_in_stem(stem) == person


@pytest.mark.parametrize("name", NAMELESS_FOLDERS)
def test_folders_of_cameras_programs_and_events_name_no_one(name: str) -> None:
    """Dates, programs, collections and events are not names of people."""
    assert not looks_like_person(name)


@pytest.mark.parametrize(
    "name", ["Ada", "Ada Lovelace", "lovelace_ada", "April", "June Carter", "n000042", "P2", "\u674e\u5a1c"]
)
def test_folders_that_look_like_people(name: str) -> None:
    """Names in any script, ids, and first names that are also months are names of people."""
    assert looks_like_person(name)


@pytest.mark.parametrize(
    "name", [*FIRST_NAMES, "Anatole France", "Tom Holland", "Nas Jones", "Mia Costa", "Bruno Mars"]
)
def test_names_of_people_that_are_also_months_or_places(name: str) -> None:
    """First names that are also months or countries are names, and so are surnames that are also places."""
    assert looks_like_person(name)


@pytest.mark.parametrize(
    ("name", "person"),
    [("Ada/1.jpg", "Ada"), ("ada_2.jpg", "ada"), ("IMG_0042.jpg", None), ("2024/1.jpg", None), ("", None)],
)
def test_names_of_uploads(name: str, person: str | None) -> None:
    """An upload is named by its folder, or else by its file name."""
    assert person_in_name(name) == person


@pytest.mark.parametrize("path", ["photos/Ada/1.jpg", "photos/Ada/2019/IMG_0042.jpg", "photos/family/Ada/x.jpg"])
def test_the_nearest_folder_of_a_person_names_a_photo(tmp_path: Path, path: str) -> None:
    """Folders of years and events are skipped; file names are not used."""
    file = write_photo(tmp_path / path, [(40, 25, 40, RED)])
    (candidate,) = find_candidates([tmp_path / "photos"])
    assert (candidate.path, candidate.person) == (file, "Ada")


def test_the_library_of_a_photo_program_names_no_one(tmp_path: Path) -> None:
    """Neither the package of Photos nor the folders in it look like people."""
    file = write_photo(tmp_path / "photos/My.photoslibrary/originals/A/1.jpg", [(40, 25, 40, RED)])
    (candidate,) = find_candidates([tmp_path / "photos"])
    assert (candidate.path, candidate.person) == (file, None)


@pytest.mark.parametrize(
    ("names_from", "people"),
    [
        ("auto", ["Ada", None, None]),
        ("folders", ["Ada", "Birthday party", None]),
        ("files", ["beach", "ada", "bob"]),
        ("none", [None, None, None]),
        ("xmp", [None, None, None]),
    ],
)
def test_sources_of_names(photos: Path, names_from: NamesFrom, people: list[str | None]) -> None:
    """Each choice uses names only from its own source."""
    for name in ("Ada/beach_1.png", "Birthday party/ada.png", "2024/bob.png"):
        write_photo(photos / name, [(40, 25, 40, RED)])
    found = find_candidates([photos], names_from=names_from)
    assert {one.path.parent.name: one.person for one in found} == dict(
        zip(("Ada", "Birthday party", "2024"), people, strict=True)
    )


def test_unknown_source_of_names_is_refused(gallery: Gallery, photos: Path) -> None:
    """The error lists the known sources."""
    with pytest.raises(FaceallError, match="expected one of auto, folders, files, xmp, none"):
        gallery.register(photos, names_from="exif")  # type: ignore[arg-type]


def test_candidates_are_found_once(photos: Path) -> None:
    """A file given directly and by its folder is one candidate, with an absolute path."""
    file = write_photo(photos / "Ada" / "beach.png", [(40, 25, 40, RED)])
    found = find_candidates([photos, file, os.path.relpath(file)])
    assert [(candidate.path, candidate.person) for candidate in found] == [(file, "Ada")]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_broken_bytes_in_names(photos: Path) -> None:
    """A folder whose name is not UTF-8 gives a printable name."""
    folder = Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9"))
    file = write_photo(folder / "1.png", [(40, 25, 40, RED)])
    (candidate,) = find_candidates([photos])
    assert candidate.path == file
    assert candidate.person is not None
    assert candidate.person.encode() == b"caf?"


def test_folder_of_several_people_names_no_one(gallery: Gallery, photos: Path) -> None:
    """A folder name is accepted or rejected after its faces were analysed, and the decision is reported."""
    folder_of(photos, "Ada", [RED] * 4 + [BLUE])
    folder_of(photos, "Rome", [RED, BLUE, GREEN] * 3)
    registration = gallery.iter_register(photos)
    results = list(registration)
    assert {result.status for result in results} <= {"added"}
    assert all(result.undecided and result.person == result.path.parent.name for result in results)
    final = map(registration.decided, results)
    decided = {(result.path.parent.name, result.person, result.undecided) for result in final}
    assert decided == {("Ada", "Ada", False), ("Rome", None, False)}
    assert names(gallery) == {"Ada": 5}
    ada, rome = registration.folder_names
    assert (ada.name, ada.accepted, ada.photos, ada.agreement.agreeing) == ("Ada", True, 5, 4)
    assert (rome.name, rome.accepted, rome.photos, rome.agreement.agreeing) == ("Rome", False, 9, 3)
    assert len(gallery) == 14
    assert gallery.index.problems() == []


def test_results_of_a_whole_registration_are_decided(gallery: Gallery, photos: Path) -> None:
    """`register` returns the people whom the photos have at the end; names from `folders` are decided at once."""
    folder_of(photos, "Ada", [RED] * 4)
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    results = gallery.register(photos)
    assert {(one.path.parent.name, one.person, one.undecided) for one in results} == {
        ("Ada", "Ada", False),
        ("Rome", None, False),
    }
    folder_of(photos, "Rome", [GREEN], first=3)
    (new,) = (one for one in gallery.iter_register(photos, names_from="folders") if one.status == "added")
    assert (new.person, new.undecided) == ("Rome", False)


def test_watched_folders_report_what_became_of_their_names(gallery: Gallery, photos: Path) -> None:
    """After the photos of a pass, each folder that suggested a name says whether it names its new photos."""
    folder_of(photos, "Ada", [RED] * 4)
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    stop = Event()
    watched = gallery.watch(photos, poll=0.01, stop=stop)
    results = [next(watched) for _ in range(9)]
    assert {(one.status, one.undecided) for one in results[:7]} == {("added", True)}
    assert [(one.path, one.status, one.person, one.message) for one in results[7:]] == [
        (photos / "Ada", "named", "Ada", None),
        (photos / "Rome", "left-unnamed", None, "shows several people (1 of 3 faces agree)"),
    ]
    shutil.rmtree(photos / "Rome")
    lost = [next(watched) for _ in range(3)]
    assert {(one.path.parent.name, one.status) for one in lost} == {("Rome", "removed")}
    stop.set()
    assert list(watched) == []


def interrupt(gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register photos, and stop before the names of folders are checked."""
    with monkeypatch.context() as patched:
        patched.setattr(FolderNames, "check", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            gallery.register(photos)


def test_names_that_an_interrupted_registration_left_are_checked_by_the_next_one(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends before the folders are checked leaves names; registering them again checks these, and no others."""
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    folder_of(photos, "Ada", [RED] * 3)
    gallery.register(photos / "Rome", names_from="folders")  # meant, whatever the faces show
    folder_of(photos, "Rome", [BLUE, GREEN], first=3)
    interrupt(gallery, photos, monkeypatch)
    assert names(gallery) == {"Ada": 3, "Rome": 5}
    gallery.register(photos / "Ada")
    assert names(gallery) == {"Ada": 3, "Rome": 5}
    registration = gallery.iter_register(photos)
    assert {result.status for result in registration} == {"unchanged"}
    (rome,) = registration.folder_names
    assert (rome.name, rome.accepted, rome.photos, rome.places) == ("Rome", False, 2, (photos / "Rome",))
    assert names(gallery) == {"Ada": 3, "Rome": 3}
    again = gallery.iter_register(photos)
    assert len(list(again)) == 8
    assert again.folder_names == []


def test_names_that_are_demanded_after_an_interruption_stay(
    gallery: Gallery, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`names_from="folders"` accepts what is unchecked, also for photos in folders of the folder."""
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    folder_of(photos / "Rome", "2024", [BLUE, RED], first=3)
    interrupt(gallery, photos, monkeypatch)
    gallery.register(photos, names_from="folders")
    registration = gallery.iter_register(photos)
    assert len(list(registration)) == 5
    assert registration.folder_names == []
    assert names(gallery) == {"Rome": 5}


def test_later_photos_are_checked_with_earlier_ones(gallery: Gallery, photos: Path) -> None:
    """A later photo in a folder of several people gets no name, although its own faces agree."""
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    gallery.register(photos)
    folder_of(photos, "Rome", [RED], first=3)
    gallery.register(photos)
    assert names(gallery) == {}


def test_folders_option_accepts_every_folder(gallery: Gallery, photos: Path) -> None:
    """With `names_from="folders"` faces are not checked."""
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    gallery.register(photos, names_from="folders")
    assert names(gallery) == {"Rome": 3}


def test_one_photo_does_not_confirm_a_given_folder(gallery: Gallery, photos: Path) -> None:
    """A folder given directly names a person only when it has at least two photos."""
    folder = folder_of(photos, "Lisbon", [RED])
    gallery.register(folder)
    assert names(gallery) == {}
    folder_of(photos, "Lisbon", [RED], first=1)
    gallery.register(folder)
    assert names(gallery) == {"Lisbon": 1}


def test_folder_keeps_its_person_after_a_rename_and_a_merge(gallery: Gallery, photos: Path) -> None:
    """New photos of a folder get the person's current name, and the old person is not created again."""
    folder_of(photos, "Ada", [RED, RED])
    folder_of(photos, "Augusta", [RED, RED])
    gallery.register(photos)
    gallery.people.rename("Ada", "Lady Lovelace")
    folder_of(photos, "Ada", [RED], first=2)
    gallery.register(photos)
    assert names(gallery) == {"Augusta": 2, "Lady Lovelace": 3}
    gallery.people.merge("Augusta", "Lady Lovelace")
    gallery.people.rename("Lady Lovelace", "Countess")
    folder_of(photos, "Augusta", [RED], first=2)
    gallery.register(photos)
    assert names(gallery) == {"Countess": 6}


@pytest.mark.parametrize("names_from", ["folders", "files"])
def test_paths_follow_a_rename_unless_the_name_was_taken_off(
    gallery: Gallery, photos: Path, names_from: NamesFrom
) -> None:
    """New photos, and photos whose name was removed, get the current name; unnamed people that of the path."""
    write_photo(photos / "Ada/Ada 1.png", [(40, 25, 40, RED)])
    gallery.register(photos, names_from=names_from)
    gallery.people.rename("Ada", "Countess")
    write_photo(photos / "Ada/Ada 2.png", [(40, 25, 44, RED)])
    gallery.register(photos, names_from=names_from)
    assert names(gallery) == {"Countess": 2}
    gallery.register(photos, unnamed=True)
    gallery.register(photos, names_from=names_from)
    assert names(gallery) == {"Countess": 2}
    gallery.people.unname("Countess")
    gallery.register(photos, names_from=names_from)
    assert names(gallery) == {"Ada": 2}


def test_unname_keeps_the_faces_and_the_folder_stays_unnamed(gallery: Gallery, photos: Path) -> None:
    """`unname` removes several names at once, and the folders do not give them again."""
    folder_of(photos, "Ada", [RED, RED])
    folder_of(photos, "Bob", [BLUE, BLUE])
    gallery.register(photos)
    assert gallery.people.unname(["Ada", "Bob"]) == 4
    assert (names(gallery), len(gallery)) == ({}, 4)
    folder_of(photos, "Ada", [RED], first=2)
    gallery.register(photos)
    assert (names(gallery), len(gallery)) == ({}, 5)
    with pytest.raises(UnknownPersonError):
        gallery.people.unname(["Ada"])


def test_unnamed_removes_the_names_of_known_photos(gallery: Gallery, photos: Path) -> None:
    """Names are removed also where the person was renamed or given with the photos; undo gives them back."""
    for folder, colour in (("Ada", RED), ("Bob", BLUE), ("Eve", GREEN)):
        folder_of(photos, folder, [colour, colour])
    gallery.register(photos / "Eve", person="Mallory")
    gallery.register(photos)
    gallery.people.rename("Bob", "Robert")
    before = names(gallery)
    results = gallery.register(photos, unnamed=True)
    assert {(result.status, result.person) for result in results} == {("unnamed", None)}
    assert (names(gallery), len(gallery)) == ({}, 6)
    assert {result.status for result in gallery.register(photos, unnamed=True)} == {"unchanged"}
    change = gallery.people.history().items[0]
    assert describe_change(change) == "removed the name of 6 faces"
    gallery.people.undo(change.id)
    assert names(gallery) == before == {"Ada": 2, "Robert": 2, "Mallory": 2}


def test_unnamed_keeps_names_that_were_given_by_hand(gallery: Gallery, photos: Path) -> None:
    """Photos can be added without names to a folder whose people were named in the web app or by `people name`."""
    folder_of(photos, "2024-05", [RED, RED])
    gallery.register(photos, unnamed=True)
    faces = [face.face_id for photo in gallery.photos.page().items for face in photo.faces]
    gallery.faces.assign_many([("Ada", faces)])
    folder_of(photos, "2024-05", [BLUE], first=2)
    results = gallery.register(photos, unnamed=True)
    assert sorted(result.status for result in results) == ["added", "unchanged", "unchanged"]
    assert names(gallery) == {"Ada": 2}


def test_unnamed_removes_the_name_of_a_copy_and_keeps_groups(gallery: Gallery, photos: Path) -> None:
    """A known photo at another path loses its name too; a group without a name stays."""
    folder_of(photos, "Ada", [RED, RED])
    gallery.register(photos)
    folder_of(photos, "Bob", [BLUE, BLUE])
    gallery.register(photos / "Bob", unnamed=True)
    gallery.people.cluster()
    (photos / "copies").mkdir()
    for folder in ("Ada", "Bob"):
        shutil.copy(photos / folder / "0.png", photos / "copies" / f"{folder}.png")
    results = gallery.register(photos / "copies", unnamed=True)
    assert [result.status for result in results] == ["unnamed", "duplicate"]
    assert sorted(names(gallery).values()) == [1, 2]


def test_person_with_differing_faces_is_reported(gallery: Gallery, photos: Path) -> None:
    """A person whose faces differ is reported with the numbers; one whose faces mostly agree is not."""
    folder_of(photos, "Ada", [RED] * 4 + [BLUE])
    folder_of(photos, "Rome", [RED, BLUE, GREEN] * 3)
    gallery.register(photos, names_from="folders")
    (mixed,) = gallery.people.mixed()
    assert (mixed.person, mixed.agreement.agreeing, mixed.agreement.faces) == ("Rome", 3, 9)


@pytest.mark.parametrize("names_from", ["folders", "files"])
def test_names_from_folders_or_files_name_known_photos_without_a_name(
    gallery: Gallery, photos: Path, names_from: NamesFrom
) -> None:
    """What the user asks for names photos that were left unnamed; `auto` and a watched folder leave them so."""
    folder_of(photos, "Rome", [RED, BLUE, GREEN])
    for number in range(3):
        (photos / f"Rome/{number}.png").rename(photos / f"Rome/Rome {number}.png")
    gallery.register(photos)
    assert {result.status for result in gallery.register(photos)} == {"unchanged"}
    stop = Event()
    new = write_photo(photos / "1.png", [(40, 25, 40, RED)])
    watched = gallery.watch(photos, names_from=names_from, poll=9, stop=stop)
    assert next(watched).path == new
    stop.set()
    assert (list(watched), names(gallery)) == ([], {})
    new.unlink()
    results = gallery.register(photos, names_from=names_from)
    assert {(result.status, result.person) for result in results} == {("reassigned", "Rome")}
    assert names(gallery) == {"Rome": 3}
    assert {result.status for result in gallery.register(photos, names_from=names_from)} == {"unchanged"}


@pytest.mark.parametrize("taken_off", ["none", "unnamed", "unname", "cluster"])
def test_folders_name_photos_whose_name_was_taken_off(gallery: Gallery, photos: Path, taken_off: str) -> None:
    """It makes no difference why known photos have no name; groups without a name count as none."""
    folder_of(photos, "Ada", [RED, RED])
    gallery.register(photos, names_from="none" if taken_off in ("none", "cluster") else "auto")
    if taken_off == "unnamed":
        gallery.register(photos, unnamed=True)
    elif taken_off == "unname":
        gallery.people.unname("Ada")
    elif taken_off == "cluster":
        gallery.people.cluster()
        assert len(names(gallery)) == 1
    assert "Ada" not in names(gallery)
    gallery.register(photos, names_from="folders")
    assert names(gallery) == {"Ada": 2}


def test_folders_change_no_decision_of_the_user(gallery: Gallery, photos: Path) -> None:
    """Photos that have another person keep that one; a face that is said not to show Ada is not named Ada."""
    folder_of(photos, "Ada", [RED, RED, RED])
    gallery.register(photos)
    one, two, _ = gallery.faces.find(person="Ada")
    gallery.faces.assign(one.face_id, "Bob")
    gallery.faces.unassign([two.face_id])
    statuses = [result.status for result in gallery.register(photos, names_from="folders")]
    assert statuses == ["unchanged"] * 3
    assert names(gallery) == {"Ada": 1, "Bob": 1}
