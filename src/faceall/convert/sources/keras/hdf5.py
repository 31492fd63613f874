"""Read the weights in a Keras HDF5 file and write them as an .npz: run as a process of its own.

python -m faceall.convert.sources.keras.hdf5 FILE RESULT 0|1 SECONDS BYTES

1: Keras 3's numbered weights, 0: named ones. The process ends itself after SECONDS of CPU time or above 2 GB, or
when the arrays declare more than BYTES.

The result holds the arrays "0", "1", ... and "listed", JSON: the model's description and each layer's numbers.
The process imports no other module of the package; a damaged file ends it with one line on stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_MEMORY = 2 << 30
_LARGEST_CONFIG = 8 << 20


def _datasets(group: Any) -> dict[str, Any]:
    """Return every array below `group` by its path; links to elsewhere are not followed."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "dtype") and hasattr(item, "shape"):
            found[name] = item

    group.visititems(visit)
    return found


class _Reader:
    """Reads arrays until they have `most` bytes together."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def array(self, item: Any) -> npt.NDArray[Any]:
        """Return the array of a dataset.

        Raises
        ------
        ValueError
            If it holds no numbers of its own, or the arrays have too many bytes.
        """
        self.left -= item.nbytes
        if self.left < 0:
            raise ValueError(f"its arrays declare more than {self.most:,} bytes, far more than the file has")
        return _array(item)


def _array(item: Any) -> npt.NDArray[Any]:
    if item.is_virtual or item.external or item.dtype.kind not in "fiu":
        raise ValueError(f"the array '{item.name}' holds no numbers of its own")
    return np.asarray(item[()])


def _numbered_weights(file: Any, reader: _Reader) -> dict[str, list[npt.NDArray[Any]]]:
    """Read the weights of Keras 3: LAYER/vars/0, 1, ...; the group `vars` has the layer's name."""
    found: dict[str, dict[int, npt.NDArray[Any]]] = {}
    for path, item in _datasets(file).items():
        group, _, number = path.rpartition("/")
        if group.endswith("vars") and number.isdigit():
            name = file[group].attrs.get("name") or group.split("/")[-2]
            if int(number) in found.setdefault(str(name), {}):
                raise ValueError(f"two layers are called '{name}'")
            found[str(name)][int(number)] = reader.array(item)
    return {name: [arrays[number] for number in sorted(arrays)] for name, arrays in found.items()}


def _named_weights(group: Any, reader: _Reader) -> dict[str, list[npt.NDArray[Any]]]:
    """Read the weights of Keras 2: LAYER with the attribute weight_names, "SCOPE/LAYER/kernel:0"."""
    datasets = _datasets(group)
    found: dict[str, list[npt.NDArray[Any]]] = {}
    layers = list(_texts(group.attrs, "layer_names"))
    for layer in layers:
        for name in _texts(group[layer].attrs, "weight_names"):
            array = reader.array(datasets[f"{layer}/{name}"])
            found.setdefault(layer, []).append(array)
            inner = name.split("/")[-2:][0]
            if inner not in layers:  # a layer of a model that is a layer
                found.setdefault(inner, []).append(array)
    return found


def _texts(attributes: Any, name: str) -> Iterator[str]:
    """Yield a list of texts; long lists are split over NAME0, NAME1, ..."""
    parts = [attributes[name]] if name in attributes else []
    while f"{name}{len(parts)}" in attributes:
        parts.append(attributes[f"{name}{len(parts)}"])
    for part in parts:
        for text in part:
            yield text.decode() if isinstance(text, bytes) else str(text)


def _config(file: Any) -> str | None:
    config = file.attrs.get("model_config")
    if isinstance(config, bytes | str) and len(config) > _LARGEST_CONFIG:
        raise ValueError(f"its description has {len(config):,} bytes, at most {_LARGEST_CONFIG:,} are read")
    return config.decode() if isinstance(config, bytes) else config


def _limit(seconds: int) -> None:
    """Allow less time and memory than now; a stricter limit that was inherited stays."""
    if sys.platform == "win32":
        return
    import resource

    limits = {resource.RLIMIT_CPU: seconds}
    if sys.platform != "darwin":  # which refuses any limit of addresses
        limits[resource.RLIMIT_AS] = _MEMORY
    for kind, most in limits.items():
        soft, hard = resource.getrlimit(kind)
        stricter = [number for number in (soft, hard, most) if number != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(stricter), hard))


def main(source: str, result: str, numbered: str, seconds: str, most: str) -> None:
    """Read `source`, write `result`."""
    _limit(int(seconds))
    import h5py

    with h5py.File(source, "r") as file:
        reader = _Reader(int(most))
        read = _numbered_weights if numbered == "1" else _named_weights
        weights = read(file if numbered == "1" else file.get("model_weights", file), reader)
        config = _config(file)
    arrays: dict[str, npt.NDArray[Any]] = {}
    places: dict[str, list[int]] = {}
    numbers: dict[int, int] = {}
    for name, found in weights.items():
        places[name] = [numbers.setdefault(id(array), len(numbers)) for array in found]
        arrays |= {str(numbers[id(array)]): array for array in found}
    listed = json.dumps({"config": config, "weights": places}).encode()
    arrays["listed"] = np.frombuffer(listed, np.uint8)
    with open(result, "wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001  (h5py has many; the parent wants one line)
        sys.exit(f"{type(error).__name__}: {error}".splitlines()[0])
