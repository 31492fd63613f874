"""`faceall.files`: files and folders are replaced as a whole or not at all."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceall import files


def names(folder: Path) -> list[str]:
    """What a folder holds, hidden names included."""
    return sorted(os.listdir(folder))


def test_write_file_replaces_the_content_and_leaves_no_draft(tmp_path: Path) -> None:
    """The new content stands at the target; nothing else is in the folder."""
    target = tmp_path / "a.json"
    files.write_file(target, "old")
    files.write_file(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_write_file_sets_permissions_from_the_beginning(tmp_path: Path) -> None:
    """A private file is private, and an ordinary one follows the umask."""
    files.write_file(tmp_path / "key", "secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_replaced_file_keeps_the_old_content_after_an_exception(tmp_path: Path) -> None:
    """A block that fails changes nothing."""
    target = tmp_path / "a"
    files.write_file(target, "old")
    with pytest.raises(ZeroDivisionError), files.replaced_file(target) as file:
        file.write(b"half %d" % (1 // 0))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_names_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    """A draft's name never exceeds what the file system takes, even where the target's name does just not."""
    target = tmp_path / ("ü" * 127)
    files.write_file(target, "x")
    assert target.read_text() == "x"


@pytest.mark.parametrize("exchange", [True, False])
def test_replacing_exchanges_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exchange: bool) -> None:
    """A folder takes the place of another with different files, with and without the system's exchange."""
    if not exchange:
        monkeypatch.setattr(files.writing, "_renameat2", lambda: None)
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with files.replacing(target) as draft:
        draft.mkdir()
        (draft / "new").write_text("new")
        assert names(target) == ["old"]
    assert names(target) == ["new"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("kinds", [("file", "folder"), ("folder", "file"), ("file", "file")])
def test_replacing_puts_a_file_for_a_folder_and_the_reverse(tmp_path: Path, kinds: tuple[str, str]) -> None:
    """What is replaced and what replaces it may be of different kinds."""
    target = tmp_path / "x"
    before, after = kinds
    target.mkdir() if before == "folder" else target.write_text("old")
    with files.replacing(target) as draft:
        draft.mkdir() if after == "folder" else draft.write_text("new")
    assert target.is_dir() == (after == "folder")
    assert names(tmp_path) == ["x"]


def test_replacing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    """The link is replaced, not the folder behind it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "kept").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with files.replacing(tmp_path / "link") as draft:
        draft.mkdir()
    assert not (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["kept"]


def test_replacing_keeps_the_old_folder_after_an_exception(tmp_path: Path) -> None:
    """A block that fails leaves the old folder and no draft."""
    target = tmp_path / "model"
    target.mkdir()
    (target / "x").write_text("x")
    with pytest.raises(shutil.Error), files.replacing(target) as draft:
        shutil.copytree(tmp_path, draft / "copy", copy_function=lambda *_: (draft / "absent").rmdir())
    assert names(tmp_path) == ["model"]


def test_new_folder_refuses_one_that_holds_something(tmp_path: Path) -> None:
    """A folder with files, and a file, stay as they are."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for name in ("full", "full/x"):
        with pytest.raises(FileExistsError), files.new_folder(tmp_path / name):
            pytest.fail("the block must not run")
    assert (tmp_path / "full" / "x").read_text() == "x"


def test_new_folder_refuses_what_appeared_in_the_meantime(tmp_path: Path) -> None:
    """A file written by somebody else during the block is not lost."""
    target = tmp_path / "a" / "copy"
    copying = files.new_folder(target)
    (copying.__enter__() / "mine").write_text("mine")
    target.mkdir()
    (target / "theirs").write_text("theirs")
    with pytest.raises(FileExistsError):
        copying.__exit__(None, None, None)
    assert names(target) == ["theirs"]
    assert names(target.parent) == ["copy"]


def test_new_folder_takes_the_place_of_an_empty_one(tmp_path: Path) -> None:
    """An empty folder is as good as none."""
    target = tmp_path / "copy"
    target.mkdir()
    with files.new_folder(target, mode=0o700) as draft:
        (draft / "x").write_text("x")
    assert names(target) == ["x"]


def test_everything_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file and folder of the draft is synced first, the parent folder after the rename."""
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_sync(handle: int) -> None:
        events.append(f"sync {'folder' if stat.S_ISDIR(os.fstat(handle).st_mode) else 'file'}")
        fsync(handle)

    def record_replace(source: Path, target: Path) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_replace)
    files.write_file(tmp_path / "a", "x")
    assert events == ["sync file", "rename", *(["sync folder"] if os.name == "posix" else [])]


@pytest.mark.skipif(os.name != "posix", reason="kills a process by a POSIX signal")
def test_a_killed_writer_leaves_the_old_folder_or_the_new(tmp_path: Path) -> None:
    """Whenever a process is killed while it replaces a folder, the target is complete."""
    target = tmp_path / "model"
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from faceall.files import replacing
        target = Path(sys.argv[1])
        for number in range(10_000):
            with replacing(target) as draft:
                draft.mkdir()
                for name in "ab":
                    (draft / name).write_text(str(number))
            print(number, flush=True)
    """)
    for delay in range(5):
        writer = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(3 + delay):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert names(target) == ["a", "b"]
        assert (target / "a").read_text() == (target / "b").read_text() != ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe without a writer is refused at once, a folder too."""
    (tmp_path / "file").write_bytes(b"content")
    with files.open_regular(tmp_path / "file") as file:
        assert file.read() == b"content"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a regular file"):
        files.open_regular(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        files.open_regular(tmp_path)


@pytest.mark.parametrize("place", ["faces.db", "new.json", "uploads/ab/new.json", ""])
def test_no_output_goes_into_a_gallery(tmp_path: Path, place: str) -> None:
    """Neither a gallery nor anything in it, its uploads included, is replaced by an output."""
    gallery = tmp_path / "gallery"
    (gallery / "uploads" / "ab").mkdir(parents=True)
    (gallery / "faces.db").write_text("faces")
    target = gallery / place
    with pytest.raises(PermissionError, match="inside a gallery"):
        files.write_file(target, "x")
    with pytest.raises(PermissionError), files.replacing(target) as draft:
        draft.mkdir()
    assert (gallery / "faces.db").read_text() == "faces"
    files.write_file(tmp_path / "beside.json", "x")
    files.write_file(gallery / "keys.json", "x", internal=True)


def test_put_in_place_moves_a_folder_onto_another(tmp_path: Path) -> None:
    """A complete folder takes the place of one with other files, and is gone from where it was."""
    for name in ("staged", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"from-{name}").write_text(name)
    files.put_in_place(tmp_path / "staged", tmp_path / "target")
    assert names(tmp_path) == ["target"]
    assert names(tmp_path / "target") == ["from-staged"]


def test_put_in_place_refuses_a_gallery(tmp_path: Path) -> None:
    """Only faceall's own data is moved into one."""
    (tmp_path / "faces.db").write_text("faces")
    (tmp_path / "new").write_text("new")
    with pytest.raises(PermissionError, match="inside a gallery"):
        files.put_in_place(tmp_path / "new", tmp_path / "faces.db")
    files.put_in_place(tmp_path / "new", tmp_path / "faces.db", internal=True)
    assert (tmp_path / "faces.db").read_text() == "new"


def test_put_in_place_keeps_a_folder_where_a_file_belongs(tmp_path: Path) -> None:
    """A folder that somebody has put there is not removed for a file."""
    (tmp_path / "target").mkdir()
    (tmp_path / "new").write_text("new")
    with pytest.raises(OSError, match="irectory"):
        files.put_in_place(tmp_path / "new", tmp_path / "target")
    assert names(tmp_path) == ["new", "target"]


def test_remove_folder_removes_it_with_its_contents(tmp_path: Path) -> None:
    """Nothing is left, hidden names included; an absent folder is an error."""
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "sub" / "x").write_text("x")
    files.remove_folder(tmp_path / "model")
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        files.remove_folder(tmp_path / "model")


def renames_by_hand(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that rename, move or sync a file, or choose the name of a temporary one."""
    functions = {"move", "fsync", "fdatasync", "mkstemp", "mktemp", "NamedTemporaryFile", "renames"}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        name, count = node.func.attr, len(node.args)
        of_a_path = name in ("rename", "replace") and count == 1 and not node.keywords and owner != "dataclasses"
        of_a_module = owner in ("os", "shutil", "tempfile") and (name in functions or name in ("rename", "replace"))
        if of_a_path or of_a_module:
            yield node.lineno


@pytest.mark.parametrize("line", ["os.replace(a, b)", "draft.rename(path)", "draft.replace(path)", "os.fsync(file)"])
def test_renames_by_hand_are_recognised(line: str) -> None:
    """Methods of paths count; those of texts, dataclasses and people do not."""
    assert list(renames_by_hand(ast.parse(line))) == [1]
    others = "text.replace('a', 'b'); replace(options, a=1); people.rename(a, b); moment.replace(hour=1)"
    assert list(renames_by_hand(ast.parse(others))) == []


def test_only_this_package_renames_and_syncs_files() -> None:
    """Every other module uses it, so that all files are written with one promise."""
    root = Path(files.__file__).parents[2]
    modules = [*(root / "faceall").rglob("*.py"), *(root.parent / "cli" / "faceall_cli").rglob("*.py")]
    found = [
        f"{module.relative_to(root.parent)}:{line}"
        for module in modules
        if module.parent != Path(files.__file__).parent
        for line in renames_by_hand(ast.parse(module.read_text(encoding="utf-8")))
    ]
    assert len(modules) > 300
    assert found == []
