"""Analyse images in an asyncio program: `asyncio.to_thread` uses all cores and never blocks the loop."""

import asyncio
import os
import time
from pathlib import Path

from faceall import Detector, Embedder, read_image

image = read_image(Path(__file__).parent / "someone.jpg")
detector, embedder = Detector(), Embedder()


def analyse() -> int:
    """Detect and embed the faces of the image."""
    return len(embedder(image, detector(image)))


async def seconds(tasks: int, at_once: int) -> float:
    """Measure how long so many analyses take."""
    limit = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with limit:
            await asyncio.to_thread(analyse)

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(tasks)))
    return time.perf_counter() - start


analyse()
alone, together = asyncio.run(seconds(16, 1)), asyncio.run(seconds(16, os.cpu_count() or 1))
print(f"one at a time {16 / alone:.1f} images/s, {os.cpu_count()} at once {16 / together:.1f} images/s")
