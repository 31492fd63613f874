"""Videos of moving squares."""

from __future__ import annotations

from pathlib import Path

import pytest
from videos import squares, write_video

RED, BLUE = (230, 60, 60), (60, 60, 230)


@pytest.fixture(scope="session", params=[".avi", ".mp4"])
def moving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a red square that moves right, then, after a cut to a lighter place, a blue one for one second."""
    frames = [squares((20 + 6 * number, 60, 60, RED)) for number in range(20)]
    frames += [squares((200, 100, 60, BLUE), back=90) for _ in range(10)]
    return write_video(tmp_path_factory.mktemp("videos") / f"moving{request.param}", frames)
