"""Folders of photos become folders of crops: which face, which pixels, what is done again and what not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceall import models
from faceall.analysis.analyser import primary_face
from faceall.embed.cutting import cut_faces
from faceall.errors import AlignError
from faceall.images import crop, read_image
from faceall.models import FACENET_CROP
from faceall.models.preparation import CropRule
from faceall.train.align import AlignedPhoto, Alignment, AlignOptions, read_options, read_report
from faceall.types import Faces, Image

PLAIN = AlignOptions(format="png", size=40, room=0.2)
POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)


class BrightSquares:
    """A detector that takes every square whose red is above 100 for a face; its score is its green."""

    def __init__(self) -> None:
        self.seen = 0

    def detect_batch(self, images: Sequence[Image], /) -> list[Faces]:
        self.seen += len(images)
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Faces:
        codes = [tuple(int(value) for value in code) for code in np.unique(image.reshape(-1, 3), axis=0)]
        boxes, scores = [], []
        for code in sorted((code for code in codes if code[0] > 100), key=lambda code: -code[1]):
            rows, columns = np.nonzero((image == code).all(axis=2))
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            scores.append(code[1] / 255)
        found = np.array(boxes, np.float32).reshape(-1, 4)
        points = found[:, None, :2] + POINTS * (found[:, None, 2:] - found[:, None, :2])
        return Faces(found, np.array(scores, np.float32), points)


@pytest.fixture
def detector() -> BrightSquares:
    """A detector that needs no weights and counts the images it has seen."""
    return BrightSquares()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people and a wall: Ada/1.png shows a large sure face in the middle and a surer small one in a corner."""
    folder = tmp_path / "photos"
    paint(folder / "Ada" / "1.png", [(50, 30, 40, (200, 180)), (2, 2, 20, (220, 250))])
    paint(folder / "Ada" / "2.jpeg.png", [(10, 10, 30, (210, 200))])
    paint(folder / "Bob" / "1.png", [(60, 40, 30, (150, 90))])
    paint(folder / "wall.png", [])
    return folder


def paint(path: Path, squares: Sequence[tuple[int, int, int, tuple[int, int]]]) -> None:
    """Write a image of 140 x 100 with squares (x, y, side, (red, green)) on noise that is no face."""
    image = np.random.default_rng(1).integers(0, 100, (100, 140, 3), np.uint8)
    for x, y, side, (red, green) in squares:
        image[y : y + side, x : x + side] = (red, green, 7)
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(image).save(path)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def run(photos: Path, out: Path, detector: BrightSquares, options: AlignOptions = PLAIN) -> dict[str, AlignedPhoto]:
    """Align everything; the photos by path."""
    return {photo.path: photo for photo in Alignment(photos, out, options=options, detector=detector)}


def test_folders_and_names_are_kept(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """A crop has its photo's path, a photo of another format its whole name and the crop's suffix."""
    paint(photos / "Ada" / "3.bmp", [(10, 10, 30, (210, 200))])
    found = run(photos, tmp_path / "out", detector)
    assert {path: photo.status for path, photo in found.items()} == {
        "Ada/1.png": "aligned",
        "Ada/2.jpeg.png": "aligned",
        "Ada/3.bmp": "aligned",
        "Bob/1.png": "aligned",
        "wall.png": "no-face",
    }
    crops = {"Ada/1.png", "Ada/2.jpeg.png", "Ada/3.bmp.png", "Bob/1.png"}
    assert set(files_in(tmp_path / "out")) == crops | {"align.json", "align.jsonl"}
    assert {read_image(tmp_path / "out" / name).shape for name in crops} == {(48, 48, 3)}


def test_the_middle_of_a_crop_is_what_the_model_sees(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """With a face that is enlarged, the middle equals the crop that the model's rule cuts, to one level of rounding."""
    run(photos, tmp_path / "out", detector)
    outer = read_image(tmp_path / "out" / "Bob" / "1.png")
    image = read_image(photos / "Bob" / "1.png")
    (region,) = FACENET_CROP.regions(detector.detect_batch([image])[0].boxes)
    inner = crop(image, region, size=(40, 40))
    middle = PLAIN.middle(outer[None])[0]
    assert middle.shape == inner.shape
    assert np.abs(middle.astype(int) - inner).max() <= 1


@pytest.mark.parametrize("room", [0.0, 0.1, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("size", [112, 128, 160])
def test_regions_grow_around_the_rule_by_the_pixels_of_the_room(room: float, size: int) -> None:
    """Scaled to pixels of the crop, the outer region begins exactly (side - size) / 2 before the model's own."""
    options = AlignOptions(room=room, size=size, rule=CropRule(margin=0.3, shape="square", shift=0.1))
    boxes = np.random.default_rng(0).uniform(0, 300, (20, 2)).repeat(2, 1)[:, [0, 2, 1, 3]]
    boxes[:, 2:] += np.random.default_rng(1).uniform(20, 200, (20, 2))
    inner = options.rule.regions(boxes)
    outer = options.regions(boxes, image_size=(640, 480))
    pixels = (inner[:, 2:] - inner[:, :2]) / size
    edge = (options.side - size) / 2
    assert edge == int(edge)
    np.testing.assert_allclose(outer[:, :2], inner[:, :2] - edge * pixels)
    np.testing.assert_allclose(outer[:, 2:], inner[:, 2:] + edge * pixels)
    assert abs(options.side - size * (1 + room)) <= 1


@pytest.mark.parametrize(("faces", "red"), [("central", 200), ("surest", 220)])
def test_choice_of_one_face(photos: Path, tmp_path: Path, detector: BrightSquares, faces: str, red: int) -> None:
    """The central face is the large one in the middle; the surest has the highest score, wherever it is."""
    options = AlignOptions(faces=faces, format="png", room=0)  # type: ignore[arg-type]
    photo = run(photos, tmp_path / "out", detector, options)["Ada/1.png"]
    assert (photo.faces, len(photo.crops)) == (2, 1)
    assert read_image(tmp_path / "out" / "Ada" / "1.png")[80, 80, 0] == red


def test_all_faces_get_a_crop_each(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """Crops are numbered, the surest first, and the report says which box each one shows."""
    photo = run(photos, tmp_path / "out", detector, AlignOptions(faces="all", format="png"))["Ada/1.png"]
    assert [crop.file for crop in photo.crops] == ["Ada/1.png.1.png", "Ada/1.png.2.png"]
    assert [crop.box for crop in photo.crops] == [(2, 2, 22, 22), (50, 30, 90, 70)]
    assert [read_image(tmp_path / "out" / crop.file)[90, 90, 0] for crop in photo.crops] == [220, 200]


def test_central_is_the_rule_that_galleries_use(tmp_path: Path, detector: BrightSquares) -> None:
    """On random scenes the crop is of the face that `primary_face` names."""
    random = np.random.default_rng(5)
    for number in range(20):
        squares = [
            (int(x), int(y), int(side), (110 + 40 * place, int(random.integers(50, 250))))
            for place, (x, y, side) in enumerate(
                zip(*random.integers((0, 0, 10), (100, 70, 30), (3, 3)).T, strict=True)
            )
        ]
        paint(tmp_path / "photos" / f"{number}.png", squares)
    for path, photo in run(tmp_path / "photos", tmp_path / "out", detector).items():
        image = read_image(tmp_path / "photos" / path)
        (faces,) = detector.detect_batch([image])
        assert photo.crops[0].box == tuple(faces.boxes[primary_face(faces, image.shape)].tolist())


def test_report_is_what_was_yielded(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """align.jsonl holds a line per photo, equal to what the run reported, and one JSON object each."""
    found = run(photos, tmp_path / "out", detector)
    assert read_report(tmp_path / "out") == found
    lines = (tmp_path / "out" / "align.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == list(found)
    assert found["wall.png"].message == "no face found"


def test_options_are_remembered(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """align.json gives the options back, and states the side of the crops."""
    run(photos, tmp_path / "out", detector)
    assert read_options(tmp_path / "out") == PLAIN
    record = json.loads((tmp_path / "out" / "align.json").read_text())
    assert (record["size"], record["room"], record["side"]) == (40, 0.2, 48)
    assert CropRule(**record["crop"]) == FACENET_CROP


def test_second_run_does_nothing_again(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """No photo is looked at, no file changes; photos without a face are told again."""
    run(photos, tmp_path / "out", detector)
    before, seen = files_in(tmp_path / "out"), detector.seen
    found = run(photos, tmp_path / "out", detector)
    assert detector.seen == seen
    assert files_in(tmp_path / "out") == before
    assert sorted(photo.status for photo in found.values()) == ["no-face", "unchanged", "unchanged", "unchanged"]


def touch(path: Path) -> None:
    """Give a file another time of change, as an edit does."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


CHANGES: dict[str, Callable[[Path, Path], None]] = {
    "a new photo": lambda photos, out: shutil.copy(photos / "Bob" / "1.png", photos / "Ada" / "1b.png") and None,
    "a changed photo": lambda photos, out: touch(photos / "Bob" / "1.png"),
    "a lost crop": lambda photos, out: (out / "Bob" / "1.png").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_later_run_does_only_what_is_missing(
    photos: Path, tmp_path: Path, detector: BrightSquares, change: Callable[[Path, Path], None]
) -> None:
    """After one change one photo is done, and the folder is what a run from the start makes."""
    run(photos, tmp_path / "out", detector)
    seen = detector.seen
    change(photos, tmp_path / "out")
    run(photos, tmp_path / "out", detector)
    assert detector.seen == seen + 1
    assert read_report(tmp_path / "out") == run(photos, tmp_path / "fresh", detector)
    again, fresh = files_in(tmp_path / "out"), files_in(tmp_path / "fresh")
    assert again.keys() == fresh.keys()
    assert all(again[name] == fresh[name] for name in fresh if name != "align.jsonl")


def test_crops_of_a_changed_photo_go(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """A photo that showed two faces and now shows one leaves no second crop behind."""
    options = AlignOptions(faces="all", format="png")
    run(photos, tmp_path / "out", detector, options)
    paint(photos / "Ada" / "1.png", [(50, 30, 40, (200, 180))])
    touch(photos / "Ada" / "1.png")
    run(photos, tmp_path / "out", detector, options)
    assert (tmp_path / "out" / "Ada" / "1.png.1.png").exists()
    assert not (tmp_path / "out" / "Ada" / "1.png.2.png").exists()


def test_unreadable_photos_are_told_and_tried_again(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """A damaged file gets its status and the reason; once it is mended, it is aligned."""
    good = (photos / "Bob" / "1.png").read_bytes()
    (photos / "Bob" / "1.png").write_bytes(b"no image")
    photo = run(photos, tmp_path / "out", detector)["Bob/1.png"]
    assert photo.status == "unreadable"
    assert photo.message
    assert str(photos) not in photo.message
    (photos / "Bob" / "1.png").write_bytes(good)
    assert run(photos, tmp_path / "out", detector)["Bob/1.png"].status == "aligned"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX pipes")
def test_pipes_and_lost_links_do_not_block(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """What is called like a photo and is none gets a status; the run goes on."""
    os.mkfifo(photos / "pipe.jpg")
    (photos / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = run(photos, tmp_path / "out", detector)
    assert (found["pipe.jpg"].status, found["pipe.jpg"].message) == ("unreadable", "is not a regular file")
    assert (found["lost.jpg"].status, found["lost.jpg"].size) == ("unreadable", -1)
    assert found["Bob/1.png"].status == "aligned"


def test_stop_keeps_what_is_finished(tmp_path: Path, detector: BrightSquares) -> None:
    """After a stop the rest is left for the next run, which does exactly that."""
    for number in range(40):
        paint(tmp_path / "photos" / f"{number}.png", [(10, 10, 30, (210, 200))])
    stop = Event()
    alignment = Alignment(tmp_path / "photos", tmp_path / "out", options=PLAIN, stop=stop, detector=detector)
    first = next(alignment)
    stop.set()
    done = [first, *alignment]
    assert 0 < len(done) < 40
    assert read_report(tmp_path / "out").keys() == {photo.path for photo in done}
    seen = detector.seen
    run(tmp_path / "photos", tmp_path / "out", detector)
    assert detector.seen - seen == 40 - len(done)


def test_what_a_kill_leaves_is_swept(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """Half a line of the report and half a crop do no harm, and go."""
    whole = run(photos, tmp_path / "whole", detector)
    run(photos, tmp_path / "out", detector)
    journal = tmp_path / "out" / "align.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    draft = tmp_path / "out" / "Ada" / ".1.png.0badf00d.part"
    draft.write_bytes(b"half")
    run(photos, tmp_path / "out", detector)
    assert not draft.exists()
    assert read_report(tmp_path / "out") == whole


def test_other_options_are_refused(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """Crops of two kinds never mix in a folder; the error names what differs."""
    run(photos, tmp_path / "out", detector)
    before = files_in(tmp_path / "out")
    with pytest.raises(AlignError, match=r"made with size 40 \(now 41\)"):
        run(photos, tmp_path / "out", detector, AlignOptions(format="png", size=41, room=0.2))
    with pytest.raises(AlignError, match=r"margin 0.15 \(now 0.3\)"):
        run(photos, tmp_path / "out", detector, AlignOptions(format="png", size=40, room=0.2, rule=CropRule(0.3)))
    assert files_in(tmp_path / "out") == before


def test_two_photos_for_one_crop_are_refused(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """a.bmp and a.bmp.png would both become a.bmp.png: nothing is written, both are named."""
    for name in ("a.bmp", "a.bmp.png"):
        paint(photos / name, [])
    with pytest.raises(AlignError, match=r"a\.bmp and a\.bmp\.png would both become a\.bmp\.png"):
        run(photos, tmp_path / "out", detector)
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_work_are_refused(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """No folder, no images, or crops among the photos: one line that names the place."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for source, target, message in (
        (tmp_path / "absent", tmp_path / "out", "absent: is not a folder"),
        (tmp_path / "empty", tmp_path / "out", "empty: contains no images"),
        (photos, photos / "crops", "crops: is inside the folder of photos"),
        (photos, photos, "photos: is inside the folder of photos"),
        (photos, tmp_path / "file", "file: cannot be written"),
    ):
        with pytest.raises(AlignError, match=message) as caught:
            run(source, target, detector)
        assert "\n" not in str(caught.value)


def test_second_alignment_waits_outside(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """While one run writes into a folder, another one is refused."""
    pytest.importorskip("fcntl", reason="needs POSIX locks")
    first = Alignment(photos, tmp_path / "out", options=PLAIN, detector=detector)
    next(first)
    with pytest.raises(AlignError, match="another alignment is writing there"):
        run(photos, tmp_path / "out", detector)
    first.close()
    assert len(run(photos, tmp_path / "out", detector)) == 4


@pytest.mark.parametrize("line", [b"{}", b"[1]", b"nonsense", b'{"path": 1, "status": "fine", "crops": []}'])
def test_damaged_report_is_named(photos: Path, tmp_path: Path, detector: BrightSquares, line: bytes) -> None:
    """A damaged line in the middle stops the run, and the error says which."""
    run(photos, tmp_path / "out", detector)
    journal = tmp_path / "out" / "align.jsonl"
    journal.write_bytes(line + b"\n" + journal.read_bytes())
    with pytest.raises(AlignError, match=r"align\.jsonl: line 1 is damaged"):
        run(photos, tmp_path / "out", detector)


def test_damaged_options_are_named(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """A newer align.json asks for an upgrade, a damaged or absent one is called that."""
    run(photos, tmp_path / "out", detector)
    record = tmp_path / "out" / "align.json"
    record.write_text(record.read_text().replace('"schema": 1', '"schema": 3'))
    with pytest.raises(AlignError, match="newer than this faceall"):
        read_options(tmp_path / "out")
    for damaged in (b"", b"[]", b"\xff", b'{"schema": 1}'):
        record.write_bytes(damaged)
        with pytest.raises(AlignError, match="is not a record of an alignment"):
            read_options(tmp_path / "out")
    record.unlink()
    with pytest.raises(AlignError, match="cannot be read"):
        read_options(tmp_path / "out")


@pytest.mark.parametrize(
    ("field", "value"),
    [("size", 0), ("size", 5000), ("room", -0.1), ("room", 99), ("faces", "both"), ("format", "gif"), ("min_face", 3)],
)
def test_options_out_of_range_are_refused(field: str, value: object) -> None:
    """The field, its value and what was expected stand in the error."""
    with pytest.raises(ValueError, match=f"{field} is {value!r}, (expected|known)"):
        AlignOptions(**{field: value})  # type: ignore[arg-type]


def test_room_needs_a_rule_that_leaves_the_image() -> None:
    """Crops that end at the image's edge have no fixed middle, so they cannot have room."""
    with pytest.raises(ValueError, match="such crops have no margin"):
        AlignOptions(rule=CropRule(border="clip"))
    assert AlignOptions(rule=CropRule(border="clip"), room=0).side == 160


def test_several_processes_make_the_same_files(astronaut: Image, tmp_path: Path) -> None:
    """Two workers with the real detector write byte for byte what one process writes, in the same order."""
    for number in range(18):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        PillowImage.fromarray(np.roll(astronaut[:256, 100:356], number, axis=1)).save(path)
    options = AlignOptions(format="png", min_face=60)
    one = list(Alignment(tmp_path / "photos", tmp_path / "one", options=options))
    two = list(Alignment(tmp_path / "photos", tmp_path / "two", options=options, workers=2))
    assert one == two
    assert {photo.status for photo in one} == {"aligned"}
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")


TEMPLATE = AlignOptions(rule=models.Alignment("openvino-0095"), size=40, room=0.2, format="png")


def test_aligned_crops_are_those_that_an_embedder_cuts(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """With a template, the middle of a crop is what `Embedder` would see of the same landmarks."""
    run(photos, tmp_path / "out", detector, TEMPLATE)
    image = read_image(photos / "Bob" / "1.png")
    (faces,) = detector.detect_batch([image])
    (seen,) = cut_faces(image, faces.boxes[:1], faces.landmarks[:1], models.Alignment("openvino-0095"), size=(40, 40))
    middle = TEMPLATE.middle(read_image(tmp_path / "out" / "Bob" / "1.png")[None])[0]
    assert np.abs(middle.astype(int) - seen).max() <= 1


def test_a_template_is_remembered(photos: Path, tmp_path: Path, detector: BrightSquares) -> None:
    """align.json gives the template back; crops of another rule in that folder are refused."""
    run(photos, tmp_path / "out", detector, TEMPLATE)
    assert read_options(tmp_path / "out") == TEMPLATE
    with pytest.raises(AlignError, match="template openvino-0095"):
        run(photos, tmp_path / "out", detector, PLAIN)
    with pytest.raises(ValueError, match="have no regions"):
        TEMPLATE.regions(np.zeros((1, 4)), image_size=(9, 9))
