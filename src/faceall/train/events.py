"""Learning curves for TensorBoard, beside results.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceall.errors import MissingDependencyError


class Events:
    """Writes figures by step into a folder that TensorBoard shows: `tensorboard --logdir RUN`.

    TensorFlow's own operation writes them, so that TensorBoard itself need not be installed where a net is trained.
    Raises MissingDependencyError without TensorFlow.
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
        """One measurement: `step`, and numbers by name."""
        with self._writer.as_default(step=int(values["step"])):
            for name, value in values.items():
                if name != "step":
                    self._summary.write(name, float(value), metadata=self._scalar)
        self._writer.flush()
