"""The command where its surroundings are broken: closed or endless streams, a full disk, a removed current folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_runs import Run

from faceall_cli import sources

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")


def shell(line: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell, in which $faceall is the command."""
    values = {**environment, "faceall": f"{sys.executable} -m faceall"}
    return subprocess.run(
        ["sh", "-c", line], env=values, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("$faceall models list >&-", 0, ""),
        ("$faceall nonsense 2>&-", 1, ""),
        (
            "$faceall detect - <&-",
            1,
            "faceall: standard input: is empty, expected an image\nfaceall: no image could be read\n",
        ),
        (
            "mkdir gone; cd gone; rmdir ../gone; $faceall detect x.jpg",
            1,
            "faceall: the current folder no longer exists",
        ),
    ],
)
def test_broken_surroundings_give_one_line(
    process_environment: dict[str, str], tmp_path: Path, line: str, code: int, said: str
) -> None:
    """Closed streams are empty, a removed folder is named; there is no traceback."""
    done = shell(line, process_environment, tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_standard_output(process_environment: dict[str, str], tmp_path: Path) -> None:
    """Output that cannot be written is an error of one line."""
    done = shell("$faceall models list >/dev/full", process_environment, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["faceall: the standard output cannot be written (No space left on device)"]


def test_files_get_no_number_of_a_closed_stream(process_environment: dict[str, str], tmp_path: Path) -> None:
    """With all standard streams closed, files that the command opens are not taken for one of them."""
    program = (
        "import os\n"
        "from faceall_cli.group import _open_closed_streams\n"
        "_open_closed_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "print('printed')\n"
        "file.write(str(file.fileno()))\n"
    )
    environment = {**process_environment, "program": program}
    subprocess.run(["sh", "-c", f'{sys.executable} -c "$program" <&- >&- 2>&-'], env=environment, check=True)
    assert int((tmp_path / "file").read_text()) > 2


def test_endless_input_is_refused() -> None:
    """What is piped into a command, and a list of files, may be so long and no longer."""
    assert sources._read(io.BytesIO(b"x" * 10), "list", 10) == b"x" * 10
    with pytest.raises(click.ClickException, match="list: has more than"):
        sources._read(io.BytesIO(b"x" * 11), "list", 10)


@pytest.mark.parametrize("command", [("convert",), ("models", "import")])
def test_pipes_are_no_models(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """A named pipe is refused at once; reading it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    assert "is a device, a pipe or a socket" in run(*command, tmp_path / "pipe", exit_code=1).stderr


@pytest.mark.parametrize("command", ["detect", "search", "register", "remove", "video", "watch"])
def test_urls_are_named_as_such(run: Run, portraits: Path, command: str) -> None:
    """A URL is no missing file: the error repeats it and says what to do."""
    run("register", portraits)
    error = run(command, "https://example.com/a.jpg", exit_code=1).stderr
    assert "https://example.com/a.jpg: is a URL, which is never downloaded" in error


def test_a_url_in_a_comparison_is_named_as_such(run: Run, portraits: Path) -> None:
    """Each of the two images of `compare` may be the URL."""
    first, url = portraits / "Eileen/1.png", "https://example.com/a.jpg"
    for pair in ((url, first), (first, url)):
        assert f"{url}: is a URL, which is never downloaded" in run("compare", *pair, exit_code=1).stderr
