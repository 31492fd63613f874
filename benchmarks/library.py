"""Make a photo library of about 2,000 mixed files as phones, messengers and programs leave it, and register it.

The faces come from a folder per person, such as LFW. Prints what was named, left unnamed and skipped, and the time.
Usage: python benchmarks/library.py PEOPLE [--files N] [--json FILE] [--keep DIR]
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from measure import print_table, write_json
from PIL import Image as PillowImage

from faceall import Gallery

PERSON, EVENT = 0.15, 0.1
"""Shares of the files that are in folders of people, and in folders of events."""


class Library:
    """Writes files of every kind into a folder; each photo shows one of the given files.

    Parameters
    ----------
    root : Path
        The folder.
    people : dict of str to list of Path
        Photos by person.
    """

    def __init__(self, root: Path, people: dict[str, list[Path]]) -> None:
        self.root, self.people = root, people
        self.random = random.Random(1)
        self.kinds: Counter[str] = Counter()
        self._all = [path for photos in people.values() for path in photos]
        self._others = iter(self.random.sample(self._all, len(self._all)))

    def photo(self, kind: str, place: str, source: Path | None = None) -> Path:
        """Write one photo in the format of its suffix, slightly different each time."""
        source = source or next(self._others, None) or self.random.choice(self._all)
        target = self.root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        with PillowImage.open(source) as opened:
            image = opened.convert("RGB").rotate(self.random.uniform(-2, 2), resample=PillowImage.Resampling.BICUBIC)
        exif = image.getexif()
        exif[0x010F], exif[0x0110] = "Google", "Pixel 8"
        exif.get_ifd(0x8769)[0x9003] = f"20{self.random.randrange(15, 25)}:0{self.random.randrange(1, 9)}:11 10:20:30"
        image.save(target, exif=exif) if target.suffix.lower() not in (".png", ".gif") else image.save(target)
        self.kinds[kind] += 1
        return target

    def other(self, kind: str, place: str, content: bytes) -> None:
        """Write a file that is not a photo."""
        target = self.root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.kinds[kind] += 1

    def make(self, files: int) -> None:
        """Write about so many files."""
        for name, photos in self._folders(round(files * PERSON)):
            for number, source in enumerate(photos):
                self.photo("folder of a person", f"Family/{name}/{number}.jpg", source)
        for event in ("Summer 2019", "Hochzeit Anna & Tom"):
            for number in range(round(files * EVENT / 2)):
                self.photo("folder of an event", f"{event}/DSC_{number:04d}.JPG")
        streams: list[tuple[float, str, Callable[[int], str]]] = [
            (0.16, "Android camera", lambda n: f"DCIM/Camera/PXL_20240501_{120000 + n}{n % 1000:03d}.jpg"),
            (0.10, "iPhone JPEG", lambda n: f"DCIM/100APPLE/IMG_{n:04d}.JPG"),
            (0.03, "iPhone edited", lambda n: f"DCIM/100APPLE/IMG_E{n:04d}.JPG"),
            (0.08, "WhatsApp", lambda n: f"WhatsApp Images/IMG-20240501-WA{n:04d}.jpg"),
            (
                0.04,
                "WhatsApp desktop",
                lambda n: f"Downloads/WhatsApp Image 2024-05-01 at 12.{n % 60:02d}.{n // 60}.jpeg",
            ),
            (0.03, "Facebook, UUIDs", lambda n: f"Downloads/{uuid.UUID(int=n + 1)}.jpg"),
            (0.06, "year and month", lambda n: f"2024/{1 + n % 12:02d}/{n}.jpg"),
            (0.05, "Google Takeout", lambda n: f"Takeout/Google Photos/Photos from 2024/IMG_{n}(1).jpg"),
            (0.03, "screenshot", lambda n: f"Camera/Screenshots/Screenshot_20240501-{n}.png"),
            (0.02, "scan", lambda n: f"Scans/scan{n:03d}.tiff"),
            (0.01, "no suffix", lambda n: f"recovered/f{n:07d}"),
        ]
        for share, kind, place in streams:
            for number in range(round(files * share)):
                target = place(number)
                if kind == "no suffix":
                    self.photo(kind, f"{target}.jpg").rename(self.root / target)
                else:
                    self.photo(kind, target)
        self._make_heic(round(files * 0.06))
        self._make_damaged(round(files * 0.02))
        self._make_junk(round(files * 0.1))

    def _folders(self, files: int) -> Iterator[tuple[str, list[Path]]]:
        """Yield people with many photos until there are enough."""
        for name in sorted(self.people, key=lambda name: -len(self.people[name])):
            if files <= 0:
                return
            files -= len(self.people[name])
            yield name.replace("_", " "), self.people[name]

    def _make_heic(self, count: int) -> None:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            return
        register_heif_opener()
        for number in range(count):
            self.photo("HEIC", f"DCIM/101APPLE/IMG_{number:04d}.HEIC")

    def _make_damaged(self, count: int) -> None:
        for number in range(count):
            target = self.photo("cut off", f"DCIM/102APPLE/IMG_{number:04d}.JPG")
            content = target.read_bytes()
            target.write_bytes(content[: len(content) * 3 // 4])
        self.other("unreadable", "DCIM/102APPLE/IMG_9999.JPG", b"\xff\xd8\xff\xe0 nothing")
        self.other("unreadable", "DCIM/102APPLE/IMG_9998.JPG", b"")

    def _make_junk(self, count: int) -> None:
        thumbnail = self._all[0].read_bytes()
        for number in range(count // 5):
            self.other("thumbnail cache", f"DCIM/Camera/@eaDir/{number}/SYNOPHOTO_THUMB_M.jpg", thumbnail)
            self.other("trash", f"#recycle/{number}.jpg", thumbnail)
            self.other("AppleDouble", f"DCIM/100APPLE/._IMG_{number:04d}.JPG", b"\0\5\26\7")
            self.other("metadata", f"Takeout/Google Photos/Photos from 2024/IMG_{number}(1).jpg.json", b"{}")
        for number in range(count // 10):
            self.other("video", f"DCIM/100APPLE/IMG_{7000 + number}.MOV", b"\0\0\0\x14ftypqt  ")
        self.other("hidden", "Camera/.picasa.ini", b"[a.jpg]\n")
        self.other("hidden", "Camera/Thumbs.db", b"\xd0\xcf")
        writer = cv2.VideoWriter(str(self.root / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 64))
        writer.write(np.zeros((64, 64, 3), np.uint8))
        writer.release()
        self.kinds["video"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path, metavar="PEOPLE", help="A folder per person.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="Keep the library there.")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    people = {
        folder.name: sorted(folder.glob("*.jpg")) for folder in sorted(options.people.iterdir()) if folder.is_dir()
    }
    root = options.keep or Path(tempfile.mkdtemp())
    try:
        library = Library(root, {name: photos for name, photos in people.items() if photos})
        library.make(options.files)
        rows = [{"made": kind, "files": count} for kind, count in library.kinds.most_common()]
        print_table([*rows, {"made": "total", "files": library.kinds.total()}])
        with tempfile.TemporaryDirectory() as place, Gallery.open(Path(place) / "gallery") as gallery:
            gallery.warm_up()
            start = time.perf_counter()
            registration = gallery.iter_register(root)
            statuses = Counter(result.status for result in registration)
            seconds = time.perf_counter() - start
            accepted = [found for found in registration.folder_names if found.accepted]
            refused = [found for found in registration.folder_names if not found.accepted]
            print(f"\nregistered {statuses.total()} files in {seconds:.0f} s ({statuses.total() / seconds:.1f}/s)")
            print("status:", dict(statuses.most_common()))
            print(f"named: {len(accepted)} folders, {sum(found.photos for found in accepted)} photos:",
                  ", ".join(f"{found.name} ({found.photos})" for found in accepted))  # fmt: skip
            print(
                "left unnamed, the faces disagree:",
                ", ".join(f"{found.folder.name} ({found.photos})" for found in refused) or "none",
            )
            print("skipped:", dict(Counter(kind for _, kind in registration.skipped).most_common()))
            print("people:", sorted(person.name for person in gallery.people))
        write_json(options.json, [{"files": statuses.total(), "seconds": seconds, **statuses}])
    finally:
        if options.keep is None:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
