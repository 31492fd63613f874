"""Learning curves for TensorBoard, in addition to results.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceall.errors import MissingDependencyError


class Events:
    """Write figures by step into a folder for `tensorboard --logdir RUN`.

    TensorFlow writes them, so TensorBoard itself is not needed for the training.

    Parameters
    ----------
    folder : Path
        The folder of the events.

    Raises
    ------
    MissingDependencyError
        If TensorFlow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorflow as tf
        except ImportError as error:
            raise MissingDependencyError(
                'events for TensorBoard need TensorFlow: pip install "faceall[train]"'
            ) from error
        kind = tf.compat.v1.SummaryMetadata
        self._scalar: Any = kind(plugin_data=kind.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR")
        self._summary: Any = tf.summary
        self._writer: Any = tf.summary.create_file_writer(str(folder))

    def write(self, values: Mapping[str, Any]) -> None:
        """Write one measurement: `step`, and figures by name."""
        with self._writer.as_default(step=int(values["step"])):
            for name, value in values.items():
                if name != "step":
                    self._summary.write(name, float(value), metadata=self._scalar)
        self._writer.flush()
