"""API keys are shown once and stored as hashes; sessions end with their key."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from faceall.errors import FaceallError
from faceall.web.security.keys import KEYS_FILE, Keys, Sessions


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return an empty key store."""
    return Keys(tmp_path / "gallery" / KEYS_FILE)


def test_a_key_is_valid_unchanged_only(keys: Keys) -> None:
    """A key with any change is unknown."""
    text = keys.create("Anna's laptop")
    found = keys.find(text)
    assert found is not None
    assert found.label == "Anna's laptop"
    for other in (
        "",
        text[:-1],
        text + "a",
        text.upper(),
        found.digest,
        found.salt,
        found.id,
        "é" + text,
        "x" * 10_000_000,
    ):
        assert keys.find(other) is None


def test_the_file_has_digests_and_is_private(keys: Keys) -> None:
    """The file has salted digests, no keys, and only its owner can read it."""
    texts = [keys.create(), keys.create()]
    content = keys.path.read_text()
    for text in texts:
        assert text not in content
        assert text.removeprefix("faceall_") not in content
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert len({key.salt for key in keys.all}) == 2
    assert sorted(os.listdir(keys.path.parent)) == [KEYS_FILE, "web-keys.lock"]


def test_a_folder_made_by_a_key_is_private(keys: Keys) -> None:
    """The gallery folder that the first key creates can be read by its owner only."""
    keys.create()
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700


def test_a_key_has_256_random_bits(keys: Keys) -> None:
    """A key is 43 characters of URL-safe Base64 after a prefix that secret scanners can recognise."""
    text = keys.create()
    assert text.startswith("faceall_")
    assert len(text) == len("faceall_") + 43
    assert keys.create() != text


def test_a_revoked_key_is_invalid_in_other_processes(keys: Keys) -> None:
    """A process reads the file again when it has changed."""
    text, other = keys.create("a"), keys.create("b")
    elsewhere = Keys(keys.path)
    first = elsewhere.find(text)
    assert first is not None
    assert keys.revoke(first.id).label == "a"
    assert elsewhere.find(text) is None
    assert elsewhere.find(other) is not None
    with pytest.raises(FaceallError, match=f"no key has the id '{first.id}'; known ids: {elsewhere.all[0].id}"):
        keys.revoke(first.id)


def test_there_are_no_keys_at_first(keys: Keys) -> None:
    """A store without a file has no keys, and reading it creates no file."""
    assert keys.all == ()
    assert keys.find("faceall_x") is None
    assert not keys.path.exists()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"version": 2, "keys": []}', '{"version": 1, "keys": [{}]}', '{"version": 1, "keys": 7}',
     '{"version": 1, "keys": [{"id": 1, "label": "", "created": "", "salt": "", "digest": ""}]}', "\udc80"],
)  # fmt: skip
def test_a_damaged_file_is_an_error(keys: Keys, content: str) -> None:
    """A damaged file gives a one-line error, not an empty list of keys."""
    keys.path.parent.mkdir()
    keys.path.write_text(content, errors="surrogateescape")
    with pytest.raises(FaceallError, match="damaged"):
        keys.find("faceall_x")


def test_a_label_is_one_short_line(keys: Keys) -> None:
    """A label that is too long or has line breaks is refused."""
    for label in ("a\nb", "x" * 101):
        with pytest.raises(FaceallError, match="label"):
            keys.create(label)


def test_an_unusable_folder_is_reported(tmp_path: Path) -> None:
    """A gallery path that is not a folder gives an error that says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FaceallError, match="is not a folder"):
        Keys(tmp_path / "file" / KEYS_FILE).create()


def test_threads_make_keys_at_once(keys: Keys) -> None:
    """Keys that threads create at the same time are all stored."""
    threads = [threading.Thread(target=keys.create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(keys.path.read_text())["keys"]) == len(keys.all) == 8


class Clock:
    """Clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends(keys: Keys) -> None:
    """A session ends after its time, by closing it, and with its key."""
    clock = Clock()
    sessions = Sessions(keys, seconds=10, clock=clock)
    text = keys.create()
    key = keys.find(text)
    assert key is not None
    late, closed, orphan = (sessions.open(key) for _ in range(3))
    assert sessions.find(late) == key.id
    assert sessions.find(late[:-1]) is None
    assert sessions.find("\udcff") is None
    sessions.close(closed)
    assert sessions.find(closed) is None
    clock.now = 9.9
    assert sessions.find(late) == key.id
    clock.now = 10.0
    assert sessions.find(late) is None
    clock.now = 5.0
    assert sessions.find(orphan) == key.id
    keys.revoke(key.id)
    assert sessions.find(orphan) is None


def test_sessions_are_bounded(keys: Keys) -> None:
    """If there are too many sessions, the oldest is closed."""
    sessions = Sessions(keys, max_count=2)
    key = keys.find(keys.create())
    assert key is not None
    words = [sessions.open(key) for _ in range(3)]
    assert [sessions.find(word) is not None for word in words] == [False, True, True]


_CHANGE = """
import sys
from faceall.web.security.keys import Keys

keys = Keys(sys.argv[1])
for number in range(12):
    text = keys.create(f"{sys.argv[2]} {number}")
    if number % 2:
        keys.revoke(keys.find(text).id)
"""


def test_concurrent_changes_are_all_kept(keys: Keys) -> None:
    """Of four processes that create and revoke keys, exactly the keys not revoked are left."""
    workers = [subprocess.Popen([sys.executable, "-c", _CHANGE, str(keys.path), str(number)]) for number in range(4)]
    assert [worker.wait(120) for worker in workers] == [0] * 4
    expected = {f"{worker} {number}" for worker in range(4) for number in range(0, 12, 2)}
    assert {key.label for key in keys.all} == expected
