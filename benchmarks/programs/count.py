"""Count the lines of code of the same small programs with faceall and with other libraries, as a Markdown table.

The programs of faceall are those of examples/, which also read their arguments. Docstrings, comments and blank lines
do not count; all have the same format. Which programs of the other libraries were run: docs/explanation/programs.md.
"""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
PEERS = ("deepface", "face_recognition", "insightface", "facenet_pytorch")
TASKS = {
    "attendance": "who of the registered people is present",
    "dedupe": "photos with nearly the same face",
    "find_a_person": "find a person in a folder",
    "cluster": "group faces by person",
    "own_boxes": "embed boxes of another program",
    "own_embedder": "an embedder of your own in a searchable store",
    "video_frames": "faces in the frames of a video",
    "pandas_table": "results as a table",
    "fastapi_app": "answer over HTTP",
}


def lines_of_code(path: Path) -> int:
    """Count the lines of a program that are neither blank nor comment nor docstring."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    ignored: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            ignored.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and n not in ignored for n, line in lines)


def table() -> str:
    """Return the table."""
    rows = [f"| program | faceall | {' | '.join(PEERS)} |", "|---|" + "---:|" * (1 + len(PEERS))]
    for task, title in TASKS.items():
        paths = [EXAMPLES / f"{task}.py", *(HERE / peer / f"{task}.py" for peer in PEERS)]
        counts = [str(lines_of_code(path)) if path.is_file() else "-" for path in paths]
        rows.append(f"| {title} (`{task}.py`) | {' | '.join(counts)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
