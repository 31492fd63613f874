"""Damaged and hostile files end in a result or in one clear line; and whoever judges that can tell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from places import variable

pytest.importorskip("resource", reason="needs limits of a process's time and memory")
fuzz_judge = pytest.importorskip("fuzz_judge")
fuzz_formats = pytest.importorskip("fuzz_formats")

from faceall.errors import NetFormatError  # noqa: E402 - after what needs a system with limits

CASES = int(variable("FACEALL_FUZZ_CASES", "60"))
"""Files of each format; scripts/fuzz gives 2,000."""


@pytest.mark.parametrize("name", sorted(fuzz_formats.FORMATS))
def test_spoilt_files_are_read_or_refused_in_one_line(name: str) -> None:
    """Within 10 s and 2 GB each, never with a traceback, a crash or a hang."""
    tests, count = Path(__file__).parent.parent, CASES // 3 if name in fuzz_formats.SLOW else CASES
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), name, "--cases", str(count)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path]), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    _, cases, refused, read, broke, *_ = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert (int(cases), int(broke)) == (count, 0)
    assert int(refused) + int(read) == count
    assert int(refused) > count // 4
    assert int(read), "no file was read to its end: every refusal may have the same reason"


@pytest.mark.parametrize("name", sorted(fuzz_formats.FORMATS))
def test_a_whole_file_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals come from the damage: without it, every format's files are used to the end."""
    for change in ("damaged", "twisted", "twisted_json", "_twisted_xml", "_hostile_text"):
        monkeypatch.setattr(fuzz_formats, change, lambda whole, _: whole)
    monkeypatch.setattr(fuzz_formats, "damaged", lambda whole, _: whole)
    made = fuzz_formats.FORMATS[name]
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert made.use(made.write(folder, fuzz_formats.random.Random(seed)), "reference")


def test_the_same_number_makes_the_same_file(tmp_path: Path) -> None:
    """A case that broke can be made again."""
    for made in fuzz_formats.FORMATS.values():
        contents = []
        for name in ("one", "two"):
            folder = tmp_path / made.name / name
            folder.mkdir(parents=True)
            made.write(folder, fuzz_formats.random.Random("7"))
            contents.append([path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()])
        assert contents[0] == contents[1]


def refuse(text: str) -> None:
    raise NetFormatError(text)


@pytest.mark.parametrize(
    ("case", "outcome", "text"),
    [
        (lambda: 1, "fine", ""),
        (lambda: refuse("a.pb: damaged"), "refused", "a.pb: damaged"),
        (lambda: refuse("two\nlines"), "refused", r"two\nlines"),
        (lambda: refuse(""), "broke", "0 letters"),
        (lambda: refuse("1, " * 9999), "broke", "letters"),
        (lambda: 1 / 0, "broke", "ZeroDivisionError"),
        (lambda: np.ones(1 << 28), "broke", "MemoryError"),
        (lambda: sys.exit(3), "broke", "SystemExit"),
        (lambda: os._exit(3), "broke", "status 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "broke", "SIGKILL"),
        (lambda: [None for _ in iter(int, 1)], "broke", "worked for more than 1 s"),
        (lambda: time.sleep(60), "broke", "hung"),
    ],
)
def test_the_judge_tells_a_refusal_from_a_failure(
    case: object, outcome: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results and refusals pass; exceptions, long texts, crashes, hangs and hunger do not."""
    monkeypatch.setattr(fuzz_judge, "SECONDS", 1)
    if text == "hung":
        monkeypatch.setattr(fuzz_judge, "PATIENCE", 2)
    verdict = fuzz_judge.judge(case)
    assert verdict.outcome == outcome
    assert text in verdict.text
