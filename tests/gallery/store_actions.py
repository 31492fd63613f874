"""What every public method of a gallery does, as functions whose results are compared between two stores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from stand_ins import ColourEmbedder, write_photo

from faceall.gallery import Calibration, Candidate, Gallery
from faceall.gallery.addresses import is_address

sys.path.append(str(Path(__file__).parents[1] / "video"))
from videos import squares, write_video


@dataclass(frozen=True)
class Side:
    """A gallery, the photos that both galleries have registered, and a folder for what this one writes."""

    gallery: Gallery
    photos: Path
    out: Path

    @property
    def video(self) -> Path:
        """A video of Bob."""
        return self.photos.with_name("clip.mp4")

    def extra(self, number: int) -> Path:
        """Return a photo of one more person, which is not among the registered ones."""
        return self.photos.with_name("extra") / str(number) / f"{number}.png"

    def person(self, name: str) -> int:
        """Return the id of a person."""
        return self.gallery.people.get(name).id

    def face(self, path: str, number: int = 0) -> int:
        """Return the id of a face of a photo."""
        return self.gallery.faces.find(path=self.photos / path)[number].face_id

    def photo(self, path: str) -> int:
        """Return the id of a photo."""
        found = self.gallery.photos.at(self.photos / path)
        assert found is not None
        return found.photo_id

    def change(self) -> int:
        """Return the last change."""
        return self.gallery.people.history().items[0].id


Action = Callable[[Side], Any]

EXTRA = 5
PEOPLE = ("Ada", "Adele", "Bob", "Cem")


def write_photos(folder: Path) -> None:
    """Write photos of four people, two of whom look alike, with strangers in the background, and a video."""
    colours = {"Ada": (200, 10, 10), "Adele": (196, 14, 10), "Bob": (10, 10, 200), "Cem": (10, 200, 10)}
    for place, (name, (red, green, blue)) in enumerate(colours.items()):
        for number in range(3):
            face = (40, 25, 40, (red + number, green, blue))
            stranger = (5, 5, 20, (120 + number, 120, 40 + 50 * place))
            write_photo(folder / name / f"{number}.png", [face, stranger])
    write_photo(folder / "empty.png", [])
    (folder / "broken.png").write_bytes(b"not an image")
    (folder / "Bob" / "copy.png").write_bytes((folder / "Bob" / "1.png").read_bytes())
    for number in range(EXTRA):
        square = (4 + 20 * number, 50 - 10 * number, 32, (250 - 12 * number, 1, 200))
        write_photo(folder.with_name("extra") / str(number) / f"{number}.png", [square])
    write_video(folder.with_name("clip.mp4"), [squares((20, 60, 60, (10, 10, 200))) for _ in range(10)])


def _answered(side: Side) -> Any:
    """Answer the likeliest suggestion with each of the three words, undoing a merge."""
    people, said = side.gallery.people, []
    for word in ("skip", "no", "yes"):
        best = max(people.suggestions(), key=lambda one: (one.certainty, sorted(map(str, one.names))))
        people.answer(best.id, word)  # type: ignore[arg-type]
        said.append(sorted(map(str, best.names)))
    people.undo()
    return said


def _watched(side: Side) -> Any:
    stop = Event()
    results = side.gallery.watch(side.extra(0).parent, poll=0.05, stop=stop, names_from="none")
    found = list(islice(results, 1))
    stop.set()
    return found + list(results)


def _opened_again(side: Side) -> Any:
    with Gallery.open(side.gallery.place, read_only=True) as other:
        return len(other), other.model


def _closed(side: Side) -> Any:
    with Gallery.open(side.gallery.place, read_only=True) as other:
        other.close()
        return other.status()


def _candidate(side: Side) -> Any:
    return list(side.gallery.register_candidates([Candidate(side.extra(1), "Dot")]))


def _removed_person(side: Side) -> Any:
    side.gallery.register(side.extra(2), person="Tom")
    return side.gallery.people.remove("Tom")


def _removed_face(side: Side) -> Any:
    side.gallery.register(side.extra(3), person="Spare")
    (face,) = side.gallery.faces.find(path=side.extra(3))
    return side.gallery.faces.remove(face.face_id), side.gallery.people.ids(text="Spare")


def _remaining(side: Side) -> Any:
    side.gallery.register(side.extra(4), person="Spare")
    return side.gallery.index.remaining(side.gallery.photos.remove(side.extra(4)))


def _vectors(side: Side) -> Any:
    np.save(side.out / "v.npy", ColourEmbedder().embed_crops(np.full((2, 4, 4, 3), 90, np.uint8)))
    return side.gallery.index.import_vectors(side.out / "v.npy", made_by=str(side.gallery.model))


def _bundle(side: Side) -> Any:
    side.gallery.index.export_bundle(side.out / "again.faceall")
    return side.gallery.index.import_bundle(side.out / "again.faceall")


def _calibration(side: Side) -> Any:
    chosen = Calibration(0.7, (0.6, 0.8), 0.01, None, None, 4, 12, str(side.gallery.model))
    side.gallery.calibration = chosen
    found = side.gallery.calibration, side.gallery.match_threshold
    side.gallery.calibration = None
    return found


def _pages(side: Side) -> Any:
    people = side.gallery.people
    return [people.page(sort=sort, limit=3) for sort in ("name", "photos")], people.page(text="ad", offset=1)


def _tags(side: Side) -> Any:
    found = list(side.gallery.photos.tag(side.photos / "Ada", write=False))
    return sorted(((one.path, one.status) for one in found), key=str)


def _recorded(action: Action) -> Action:
    """Run an action, and undo it if it is in the history then; the result includes the kinds of changes."""

    def run(side: Side) -> Any:
        before = side.gallery.people.history().total
        result = action(side)
        made = side.gallery.people.history()
        if made.total == before:
            return result, None
        return result, [change.kind for change in made.items[: made.total - before]], side.gallery.people.undo().kind

    return run


METHODS: Mapping[str, Action] = {
    "Gallery.register": lambda s: s.gallery.register(s.photos, names_from="folders"),
    "Gallery.iter_register": lambda s: list(s.gallery.iter_register(s.photos)),
    "Gallery.register_candidates": _candidate,
    "Gallery.watch": _watched,
    "Gallery.analyse": lambda s: s.gallery.analyse(s.photos / "Ada" / "0.png").faces.boxes,
    "Gallery.search": lambda s: s.gallery.search(s.photos / "Ada" / "0.png", k=4),
    "Gallery.search_people": lambda s: s.gallery.search_people(s.photos / "Ada" / "0.png", k=3, people=["Ada", "Bob"]),
    "Gallery.search_video": lambda s: s.gallery.search_video(s.video),
    "Gallery.register_video": lambda s: s.gallery.register_video(s.video),
    "Gallery.explain": lambda s: s.gallery.explain(s.photos / "Ada" / "0.png").shape,
    "Gallery.compare": lambda s: s.gallery.compare(s.photos / "Ada" / "0.png", s.photos / "Bob" / "0.png"),
    "Gallery.status": lambda s: s.gallery.status(),
    "Gallery.choose_detector": lambda s: s.gallery.choose_detector("no such detector"),
    "Gallery.choose_fpir": lambda s: (s.gallery.choose_fpir(0.02), s.gallery.fpir, s.gallery.choose_fpir(None)),
    "Gallery.warm_up": lambda s: s.gallery.warm_up(),
    "Gallery.open": _opened_again,
    "Gallery.close": _closed,
    "GalleryPeople.list": lambda s: s.gallery.people.list(sort="photos"),
    "GalleryPeople.get": lambda s: [s.gallery.people.get(name) for name in PEOPLE],
    "GalleryPeople.ids": lambda s: len(s.gallery.people.ids(named=True)),
    "GalleryPeople.page": _pages,
    "GalleryPeople.initials": lambda s: s.gallery.people.initials(named=True),
    "GalleryPeople.details": lambda s: s.gallery.people.details("Ada"),
    "GalleryPeople.set_details": lambda s: s.gallery.people.set_details("Ada", note="met in 1833"),
    "GalleryPeople.hide": lambda s: s.gallery.people.hide(["Ada"]),
    "GalleryPeople.show": lambda s: s.gallery.people.show(["Ada"]),
    "GalleryPeople.fit": lambda s: sorted(round(value, 4) for _, value in s.gallery.people.fit("Ada")),
    "GalleryPeople.similar": lambda s: s.gallery.people.similar("Ada", limit=2),
    "GalleryPeople.similar_name": lambda s: s.gallery.people.similar_name("Adel"),
    "GalleryPeople.similar_names": lambda s: s.gallery.people.similar_names(),
    "GalleryPeople.mixed": lambda s: s.gallery.people.mixed(),
    "GalleryPeople.named_vectors": lambda s: sorted(
        set(s.gallery.people.named_vectors(most_people=50, most_faces=2).names)
    ),
    "GalleryPeople.suggestions": lambda s: sorted(
        (sorted(map(str, one.names)), sorted(one.counts), round(one.certainty, 3))
        for one in s.gallery.people.suggestions()
    ),
    "GalleryPeople.rename": _recorded(lambda s: s.gallery.people.rename("Bob", "Robert")),
    "GalleryPeople.merge": _recorded(lambda s: s.gallery.people.merge("Adele", "Ada")),
    "GalleryPeople.split": _recorded(lambda s: s.gallery.people.split("Cem", [s.face("Cem/0.png")], to="Cora")),
    "GalleryPeople.unname": _recorded(lambda s: s.gallery.people.unname("Cem")),
    "GalleryPeople.cluster": _recorded(lambda s: s.gallery.people.cluster(threshold=0.001, known=True)),
    "GalleryPeople.answer": _answered,
    "GalleryPeople.history": lambda s: [(one.kind, one.undone is None) for one in s.gallery.people.history().items],
    "GalleryPeople.undo": lambda s: s.gallery.people.undo(s.change()).kind,
    "GalleryPeople.discard": lambda s: s.gallery.people.discard("Cem"),
    "GalleryPeople.bin": lambda s: s.gallery.people.bin(),
    "GalleryPeople.restore": lambda s: s.gallery.people.restore("Cem").kind,
    "GalleryPeople.erase": lambda s: (s.gallery.people.discard("Dot"), s.gallery.people.erase(["Dot"]).count),
    "GalleryPeople.remove": _removed_person,
    "GalleryFaces.find": lambda s: s.gallery.faces.find(person="Ada"),
    "GalleryFaces.get": lambda s: s.gallery.faces.get(s.face("Ada/0.png")),
    "GalleryFaces.page": lambda s: s.gallery.faces.page(unassigned=True, sort="size", limit=3),
    "GalleryFaces.thumbnail": lambda s: s.gallery.faces.thumbnail(s.face("Ada/0.png")),
    "GalleryFaces.hide": lambda s: s.gallery.faces.hide([s.face("Bob/0.png")]),
    "GalleryFaces.show": lambda s: s.gallery.faces.show([s.face("Bob/0.png")]),
    "GalleryFaces.assign": _recorded(lambda s: s.gallery.faces.assign(s.face("Ada/0.png", 1), "Eve")),
    "GalleryFaces.assign_many": _recorded(lambda s: s.gallery.faces.assign_many([("Eve", [s.face("Ada/1.png", 1)])])),
    "GalleryFaces.unassign": _recorded(lambda s: s.gallery.faces.unassign([s.face("Ada/0.png")])),
    "GalleryFaces.remove": _removed_face,
    "GalleryFaces.write_folders": lambda s: (
        s.gallery.faces.write_folders(s.out / "faces"),
        sorted({path.parent.name for path in (s.out / "faces").rglob("*.jpg")}),
    ),
    "GalleryPhotos.at": lambda s: s.gallery.photos.at(s.photos / "Bob" / "1.png"),
    "GalleryPhotos.below": lambda s: s.gallery.photos.below(s.photos / "Ada"),
    "GalleryPhotos.get": lambda s: s.gallery.photos.get(s.photo("Ada/0.png")),
    "GalleryPhotos.page": lambda s: s.gallery.photos.page(person=s.person("Ada")),
    "GalleryPhotos.paths": lambda s: list(s.gallery.photos.paths([s.photo("Bob/1.png")]).values()),
    "GalleryPhotos.stored": lambda s: list(s.gallery.photos.stored([s.photo("Ada/0.png")]).values()),
    "GalleryPhotos.search": lambda s: s.gallery.photos.search(people=["Ada"], without=["Bob"]),
    "GalleryPhotos.propose_names": lambda s: s.gallery.photos.propose_names([s.photo("Ada/0.png")]),
    "GalleryPhotos.unchanged_file": lambda s: s.gallery.photos.unchanged_file(s.photo("Ada/0.png")),
    "GalleryPhotos.with_digest": lambda s: s.gallery.photos.with_digest(bytes(32)),
    "GalleryPhotos.find_faces": lambda s: len(s.gallery.photos.find_faces(s.photo("Ada/0.png"))),
    "GalleryPhotos.add_face": lambda s: s.gallery.faces.get(
        s.gallery.photos.add_face(s.photo("Ada/1.png"), (80.0, 60.0, 100.0, 80.0))
    ),
    "GalleryPhotos.tag": _tags,
    "GalleryPhotos.missing": lambda s: s.gallery.photos.missing(s.photos),
    "GalleryPhotos.remove_missing": lambda s: s.gallery.photos.remove_missing(s.photos),
    "GalleryPhotos.remove": lambda s: s.gallery.photos.remove(s.photos / "empty.png"),
    "GalleryIndex.problems": lambda s: s.gallery.index.problems(),
    "GalleryIndex.verify": lambda s: (s.gallery.index.verify().problems, s.gallery.index.verify().recall),
    "GalleryIndex.statistics": lambda s: (
        s.gallery.index.statistics().faces,
        s.gallery.index.statistics().thumbnails,
        s.gallery.index.statistics().index.vectors,
    ),
    "GalleryIndex.remaining": _remaining,
    "GalleryIndex.compact": lambda s: s.gallery.index.compact() and None,
    "GalleryIndex.backup": lambda s: s.gallery.index.backup(s.out / "backup") and None,
    "GalleryIndex.migrate": lambda s: [one.status for one in s.gallery.index.migrate(s.gallery._analyser.embedder)],
    "GalleryIndex.export_bundle": lambda s: s.gallery.index.export_bundle(s.out / "one.faceall", people=["Ada", "Bob"]),
    "GalleryIndex.import_bundle": _bundle,
    "GalleryIndex.export_folder": lambda s: s.gallery.index.export_folder(s.out / "folder"),
    "GalleryIndex.import_vectors": _vectors,
}
"""Every public method: what to do with it; the result is the same in every store."""

PROPERTIES: Mapping[str, Action] = {
    "Gallery.calibration": _calibration,
    "Gallery.detector": lambda s: type(s.gallery.detector).__name__,
    "Gallery.fpir": lambda s: s.gallery.fpir,
    "Gallery.installed_manifest": lambda s: s.gallery.installed_manifest,
    "Gallery.match_threshold": lambda s: s.gallery.match_threshold,
    "Gallery.model": lambda s: s.gallery.model,
    "Gallery.pair_threshold": lambda s: s.gallery.pair_threshold,
    "Gallery.folder": lambda s: s.gallery.folder.is_dir(),
    "Gallery.place": lambda s: bool(s.gallery.place),
    # Milvus has no bin
    "GalleryPeople.bin_days": lambda s: s.gallery.people.bin_days == (None if is_address(s.gallery.place) else 30),
    "GalleryPeople.cluster_threshold": lambda s: s.gallery.people.cluster_threshold,
}
"""Every public property."""

REFUSED: Mapping[str, str] = {
    "GalleryPeople.discard": "people discard",
    "GalleryPeople.erase": "people erase",
    "GalleryPeople.hide": "people hide",
    "GalleryPeople.set_details": "people details",
    "GalleryFaces.hide": "people hide",
    "GalleryIndex.compact": "index compact",
    "GalleryIndex.backup": "index backup",
    "GalleryIndex.migrate": "index migrate",
    "GalleryIndex.import_bundle": "gallery import",
    "GalleryIndex.import_vectors": "index import",
}
"""Methods that Milvus refuses, and the commands that use them."""
