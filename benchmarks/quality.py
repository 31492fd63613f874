"""Draw error-versus-discard curves (EDC) of quality measures.

All pairs of faces of one person are compared; the threshold has an FMR of 0.1 % per comparison over all pairs of two
people. Then the pairs with the poorest face are discarded, more and more of them, by sharpness, size, pose, or the
worst rank of the three: the FNMR of the rest falls if the measure predicts errors. `ideal` discards exactly the errors.

Usage: python benchmarks/quality.py FOLDER [--model NAME] [--blur SHARE] [--cache DIR] [--svg FILE] [--json FILE]
  FOLDER  one folder per person, several photos each
  --blur  blur and shrink this share of the photos, as a camera far away does, before they are compared; default 0

References
----------
P. Grother, E. Tabassi: Performance of biometric quality measures. IEEE PAMI 29 (2007); ISO/IEC 29794-1:2024.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import print_table, write_json
from people import People, load
from PIL import Image, ImageFilter

SHARES = np.linspace(0, 0.3, 31)
SHOWN = (0.0, 0.05, 0.1, 0.2, 0.3)
COLOURS = {
    "sharpness": "#2f6fde",
    "size": "#e0742a",
    "pose": "#1a9d6c",
    "worst of the three": "#a24bd1",
    "ideal": "#888",
}
RATE = 1e-3
Array = npt.NDArray[np.float64]


def blurred(folder: Path, share: float, to: Path) -> Path:
    """Copy the photos, a share of them shrunk by up to six and blurred."""
    random = np.random.default_rng(0)
    for path in sorted(folder.glob("*/*")):
        target = to / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        if random.random() >= share:
            shutil.copyfile(path, target)
            continue
        image = Image.open(path).convert("RGB")
        factor = random.uniform(2, 6)
        small = image.resize((max(1, round(image.width / factor)), max(1, round(image.height / factor))))
        small.resize(image.size).filter(ImageFilter.GaussianBlur(random.uniform(0, 2))).save(target, quality=90)
    return to


def pair_quality(faces: People, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> dict[str, Array]:
    """Return the quality of pairs: that of the poorer face, larger is better."""
    size, sharp, turned = (faces.quality[:, column].astype(np.float64) for column in range(3))
    ranks = {name: values.argsort().argsort() / len(values) for name, values in
             (("sharpness", sharp), ("size", size), ("pose", -turned))}  # fmt: skip
    ranks["worst of the three"] = np.min(list(ranks.values()), axis=0)
    return {name: np.minimum(values[first], values[second]) for name, values in ranks.items()}


def curves(faces: People) -> dict[str, Array]:
    """Return the FNMR after discarding each of `SHARES`, by quality measure."""
    first, second = np.triu_indices(len(faces.people), 1)
    similarities = (faces.vectors @ faces.vectors.T)[first, second]
    same = faces.people[first] == faces.people[second]
    threshold = np.quantile(similarities[~same], 1 - RATE)
    wrong = (similarities[same] <= threshold).astype(np.float64)
    found = {}
    for name, quality in pair_quality(faces, first[same], second[same]).items():
        order = np.argsort(quality, kind="stable")
        found[name] = np.array([wrong[order[int(share * len(wrong)) :]].mean() for share in SHARES])
    found["ideal"] = np.maximum(wrong.mean() - SHARES, 0) / (1 - SHARES)
    return found


def drawing(found: dict[str, Array]) -> str:
    """Draw the curves as SVG."""
    top = max(float(values.max()) for values in found.values()) * 1.1
    parts = []
    for share in SHOWN:
        x = 60 + share / 0.3 * 440
        parts.append(f'<path d="M{x:.0f} 20V300" stroke="#ddd"/><text x="{x:.0f}" y="318" text-anchor="middle">'
                     f"{share:.0%}</text>")  # fmt: skip
    for number in range(5):
        y = 300 - number / 4 * 280
        parts.append(f'<path d="M60 {y:.0f}H500" stroke="#ddd"/><text x="54" y="{y + 4:.0f}" text-anchor="end">'
                     f"{top * number / 4:.1%}</text>")  # fmt: skip
    for number, (name, values) in enumerate(found.items()):
        points = " ".join(
            f"{60 + share / 0.3 * 440:.1f},{300 - value / top * 280:.1f}"
            for share, value in zip(SHARES, values, strict=True)
        )
        dash = ' stroke-dasharray="4 4"' if name == "ideal" else ""
        colour = COLOURS[name]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="512" y="{40 + 18 * number}" fill="{colour}">{name}</text>')
    parts.append('<text x="280" y="340" text-anchor="middle">pairs discarded</text>')
    parts.append('<text x="14" y="160" text-anchor="middle" transform="rotate(-90 14 160)">FNMR of the rest</text>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 350" font-family="sans-serif" font-size="12" '
        f'fill="#777" role="img" aria-label="error versus discard">{"".join(parts)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--blur", type=float, default=0.0)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder if not options.blur else blurred(options.folder, options.blur, Path(scratch))
        found = curves(load(folder, options.model, options.cache if not options.blur else None))
    rows = []
    for name, values in found.items():
        shown = {f"{share:.0%}": float(values[np.searchsorted(SHARES, share - 1e-9)]) for share in SHOWN}
        rows.append({"quality": name, **shown})
    print_table(rows)
    write_json(options.json, rows)
    if options.svg is not None:
        options.svg.write_text(drawing(found))


if __name__ == "__main__":
    main()
