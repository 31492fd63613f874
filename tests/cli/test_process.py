"""The command as a process: exit codes, Ctrl-C, pipes, one-line errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Run, records
from PIL import Image as PillowImage

from faceall.errors import FaceallError
from faceall_cli import entry
from faceall_cli import main as module

Environment = dict[str, str]


def start(environment: Environment, *arguments: str | Path, **options: object) -> subprocess.Popen[str]:
    """Start `faceall ARGUMENTS`, by default with pipes."""
    command = [sys.executable, "-m", "faceall_cli.main", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, env=environment, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["search"], "faceall: search: Missing argument 'IMG...' (see faceall search --help)"),
        (["serch"], "faceall: No such command 'serch'"),
        (["search", "--many", "x"], "faceall: search: No such option '--many'"),
        (["search", "-k", "0", "x"], "faceall: search: Invalid value for '-k'"),
        (["search", "x.jpg"], "there is no gallery yet"),
        (["people", "rename", "a", "b"], "there is no gallery yet"),
        (["remove", "x"], "there is no gallery yet"),
        (["compare", "missing.jpg", "b.jpg"], "faceall: missing.jpg: no such file"),
        (["register", "--person", " ", "."], "faceall: a person's name cannot be empty"),
        (["models", "info", "none"], "faceall: "),
        (["models", "remove", "none"], "faceall: "),
        (["detect", "--min-face", "1", "x"], "faceall: detect: Invalid value for '--min-face'"),
    ],
)
def test_mistakes_give_one_line(run: Run, arguments: list[str], expected: str) -> None:
    """An error is one line on stderr, with nothing on stdout and exit code 1."""
    result = run(*arguments, exit_code=1)
    assert result.stdout == ""
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1


def test_nothing_to_register(run: Run, tmp_path: Path) -> None:
    """An empty folder, a missing file and a text file are reported with exit code 1."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("hello")
    assert "no photo found" in run("register", tmp_path / "empty", exit_code=1).stderr
    (record,) = records(run("register", tmp_path / "missing.jpg", "--json", exit_code=1).stdout)
    assert (record["status"], record["message"]) == ("unreadable", "no such file")
    (record,) = records(run("register", tmp_path / "text.jpg", "--json", exit_code=1).stdout)
    assert record["status"] == "unreadable"


def test_missing_one_of_several(run: Run, portraits: Path, tmp_path: Path) -> None:
    """The other files are registered, each file has its status, and the exit code is 1."""
    good, bad = portraits / "Eileen/1.png", tmp_path / "missing.jpg"
    found = records(run("register", bad, good, "--json", exit_code=1).stdout)
    assert [(record["path"], record["status"]) for record in found] == [(str(bad), "unreadable"), (str(good), "added")]
    run("register", good, portraits / "Mirror")
    (portraits / "Mirror" / "broken.jpg").write_bytes(b"not an image")  # one of many in a folder is only reported
    assert "broken.jpg" in run("register", portraits / "Mirror").stdout


def test_missing_model_says_what_to_install(run: Run, environment: Environment, portraits: Path) -> None:
    """Every command that needs an embedder says which file to get and how to import it."""
    environment["FACEALL_MODELS"] = ""
    first = portraits / "Eileen/1.png"
    for command in (["register", first], ["embed", first, "-o", "x.npy"], ["compare", first, first]):
        assert "faceall models import" in run(*command, exit_code=1).stderr


def test_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Only a FaceallError becomes one line; other exceptions keep their traceback."""

    def raise_error(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("faceall.models.scan", raise_error)
    error: Exception = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        run("models", "list")
    error = FaceallError("two\nlines")
    assert run("models", "list", exit_code=1).stderr == "faceall: two\\nlines\n"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_keeps_finished_work(process_environment: Environment, portraits: Path, tmp_path: Path) -> None:
    """SIGINT gives exit code 130; everything reported is stored; the next run does the rest."""
    with PillowImage.open(portraits / "Eileen/1.png") as image:
        for number in range(240):  # several batches more than are in work at a time
            image.putpixel((0, 0), (number, 0, 0))
            image.save(portraits / "Eileen" / f"copy_{number}.png", compress_level=1)
    with start(process_environment, "register", portraits, "--json") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        lines += process.stdout.readlines()
        assert process.wait(timeout=60) == 130
        assert process.stderr is not None
        assert "stopped" in process.stderr.read()
    reported = {record["path"] for record in map(json.loads, lines) if record["status"] == "added"}
    assert 0 < len(reported) < 242
    again = records(start(process_environment, "register", portraits, "--json").communicate(timeout=120)[0])
    unchanged = {record["path"] for record in again if record["status"] == "unchanged"}
    assert reported <= unchanged
    assert len([record for record in again if record["status"] != "named"]) == 243  # without the lines of folders


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_outside_of_a_registration(process_environment: Environment, tmp_path: Path) -> None:
    """SIGINT outside of a registration ends with exit code 130 and one line."""
    fifo = tmp_path / "slow.py"
    fifo.write_text(
        "import signal, time, faceall_cli.main as cli, faceall.models\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # it is ignored where tests run in the background
        "faceall.models.scan = lambda: (print('here', flush=True), time.sleep(60))\n"
        "cli.main(['models', 'list'], prog_name='faceall')\n"
    )
    command = [sys.executable, str(fifo)]
    with subprocess.Popen(
        command, env=process_environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=50)  # less than the minute that it would sleep
    assert process.returncode == 130
    assert errors.strip() == "faceall: interrupted"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_closed_pipe_is_not_an_error(process_environment: Environment, portraits: Path, run: Run) -> None:
    """`faceall people list | head -1` ends without an error message."""
    run("register", portraits)
    with start(process_environment, "people", "list", "--json") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_folder_that_cannot_be_written(process_environment: Environment, portraits: Path, tmp_path: Path) -> None:
    """A gallery in a read-only folder gives a one-line error."""
    target = Path("/proc/faceall-gallery") if os.geteuid() == 0 else tmp_path / "locked" / "gallery"
    if os.geteuid() != 0:
        target.parent.mkdir(mode=0o500)
    process = start(process_environment, "register", portraits, "--gallery", target)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"faceall: {target}")


@pytest.mark.skipif(os.name != "posix", reason="such names exist on POSIX only")
def test_odd_names_stay_on_one_line(process_environment: Environment, portraits: Path) -> None:
    """Line breaks and invalid bytes in names break neither JSON lines nor text lines."""
    odd = portraits / os.fsdecode(b"Zo\xc3\xab\n\xe9")
    odd.mkdir()
    shutil.move(portraits / "Mirror/1.png", odd / "1.png")
    for encoding, named in (("utf-8", {portraits / "Eileen", odd}), ("ascii", set[Path]())):  # by the first run only
        environment = {**process_environment, "PYTHONIOENCODING": encoding}
        output, errors = start(environment, "register", portraits, "--json").communicate(timeout=60)
        places = [Path(record["path"]) for record in records(output)]
        assert [place.parent.name for place in places[:3]] == ["photos", "Eileen", odd.name]
        assert set(places[3:]) == named
        assert errors.count("\n") == 1
        output, errors = start(environment, "register", portraits, "-v").communicate(timeout=60)
        assert len(output.splitlines()) == 4
    run_search = start(process_environment, "search", odd / "1.png", "--json")
    (found,) = records(run_search.communicate(timeout=60)[0])
    assert found["matches"][0]["path"] == str(odd / "1.png")


def test_module_exports_the_entry_point() -> None:
    """The console script of pyproject.toml is `faceall_cli.entry:main`."""
    assert callable(module.main)
    assert callable(entry.main)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_while_loading(process_environment: Environment) -> None:
    """SIGINT during imports ends with one line and exit code 130."""
    program = (
        "import builtins, faceall_cli.entry as entry, os, signal\n"
        "real = builtins.__import__\n"
        "def meddle(name, *rest, **more):\n"
        "    if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = meddle\n"
        "entry.main()"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=process_environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "faceall: interrupted\n")


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("module_name", ["faceall", "faceall_cli"])
def test_module_is_a_command(process_environment: Environment, module_name: str) -> None:
    """`python -m faceall` and `python -m faceall_cli` run the command."""
    command = [sys.executable, "-m", module_name, "--version"]
    done = subprocess.run(command, env=process_environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("faceall, version ")


def test_search_does_not_import_tensorflow(process_environment: Environment, portraits: Path, run: Run) -> None:
    """A search of a small gallery imports neither TensorFlow nor the graph library."""
    run("register", portraits)
    program = (
        "import sys; from faceall_cli.main import main\n"
        f"try: main(['search', {str(portraits / 'Eileen/1.png')!r}], prog_name='faceall')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'torch', 'mtcnn', 'hnswlib', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=process_environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
