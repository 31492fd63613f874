"""Files and folders in photo libraries that are not photos: trash, thumbnails, caches, videos, documents."""

from __future__ import annotations

import re

_FOLDERS = {
    "@eadir": "thumbnail cache",  # Synology
    "@recycle": "trash",  # QNAP
    "#recycle": "trash",  # Synology
    "$recycle.bin": "trash",
    "recycler": "trash",
    "trash": "trash",
    "papierkorb": "trash",
    "lost+found": "system folder",
    "system volume information": "system folder",
    "__macosx": "AppleDouble",
    "thumbs": "thumbnail cache",
    "thumbnails": "thumbnail cache",
    ".thumbnails": "thumbnail cache",
    ".thumbs": "thumbnail cache",
    ".comments": "thumbnail cache",
    "lost.dir": "system folder",
}
_LIBRARY_SUFFIXES = (".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary")
_LIBRARY_ORIGINALS = ("originals", "masters")
_CATALOG_SUFFIXES = (".lrdata", ".lrcat-data", ".cocatalog", ".cosessiondb", ".dtrash")
_TRASH = re.compile(r"\.?trash(es)?(-\d+)?", re.IGNORECASE)

_KINDS = {
    "video": "mp4 mov avi mkv m4v 3gp 3g2 webm mts m2ts mpg mpeg wmv insv lrv thm hevc",
    "metadata": "xmp json ini aae xml pp3 dop on1 cos txt csv log nfo db db-wal db-shm sqlite lrcat exif",
    "document": "pdf doc docx odt xls xlsx ppt pptx md html htm rtf epub psd ai svg xcf",
    "audio": "mp3 m4a wav ogg aac amr opus flac",
    "archive": "zip tar gz tgz bz2 xz zst 7z rar iso dmg",
    "program": "exe dll so py js css sh bat lnk url ico torrent part crdownload tmp npy npz pkl",
}
_SUFFIXES = {f".{suffix}": kind for kind, suffixes in _KINDS.items() for suffix in suffixes.split()}


def junk_folder(name: str, parent: str) -> str | None:
    """Return what kind of junk a folder is, by its name and that of its parent; None if it may hold photos."""
    lower = name.casefold()
    if lower in _FOLDERS:
        return _FOLDERS[lower]
    if _TRASH.fullmatch(name):
        return "trash"
    if lower.endswith(_CATALOG_SUFFIXES):
        return "thumbnail cache"
    if parent.casefold().endswith(_LIBRARY_SUFFIXES) and lower not in _LIBRARY_ORIGINALS:
        return "library internals"
    return "hidden" if name.startswith(".") else None


def junk_file(name: str, suffix: str) -> str | None:
    """Return what kind of file that is not a photo a name is of; None if its content has to decide."""
    if name.startswith("._"):
        return "AppleDouble"
    if name.startswith(".") or name in ("Thumbs.db", "ehthumbs.db", "desktop.ini"):
        return "hidden"
    return _SUFFIXES.get(suffix)
