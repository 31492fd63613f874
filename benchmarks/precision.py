"""Measure an embedder in float32, bfloat16 and int8 on this machine: faces per second and cosine to float32.

Usage: python benchmarks/precision.py [MODEL ...]; default: the first installed embedder. The faces are variations of
the portrait in the package. A precision that the processor lacks is left out.
"""

from __future__ import annotations

import argparse
import os
import time

from faceall import Embedder
from faceall.caffe.engines import get_engine
from faceall.caffe.engines.openvino import processor_flags
from faceall.embed.portrait import portraits
from faceall.embed.precision import supported_precisions
from faceall.models import EIGHT_BIT

_FLAGS = ("avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def speed(embedder: Embedder, count: int, seconds: float) -> float:
    """Faces per second of the fastest run, `count` at once."""
    manifest = embedder.model.manifest
    crops = portraits(manifest.framing, manifest.input_size, count)
    embedder.embed_crops(crops)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        embedder.embed_crops(crops)
        best = min(best, time.perf_counter() - started)
    return count / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=[None])
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each row is measured")
    options = parser.parse_args()
    flags = ", ".join(flag for flag in _FLAGS if flag in processor_flags()) or "none of these instruction sets"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{os.cpu_count()} cores, {flags}; load average before the measurement {load}\n")
    print("| model | precision | faces/s, one | faces/s, sixteen | cosine to float32, smallest |")
    print("|---|---|---:|---:|---:|")
    for name in options.models:
        exact = Embedder(name, precision="float32")
        manifest = exact.model.manifest
        crops = portraits(manifest.framing, manifest.input_size, 16)
        wanted = exact.embed_crops(crops)
        for precision in supported_precisions(get_engine(), eight_bit=EIGHT_BIT in manifest.files):
            embedder = Embedder(name, precision=precision)
            cosine = float((embedder.embed_crops(crops) * wanted).sum(axis=1).min())
            rates = [f"{speed(embedder, count, options.seconds):.0f}" for count in (1, 16)]
            print(f"| {exact.model.name} | {precision} | {' | '.join(rates)} | {cosine:.6f} |")


if __name__ == "__main__":
    main()
