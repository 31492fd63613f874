"""The modules of faceall import one another without cycles."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

ROOTS = ("faceall", "faceall_cli")


def _imports() -> dict[str, set[str]]:
    """Module -> the modules that it imports at run time, also inside functions."""
    grimp = pytest.importorskip("grimp", reason="needs import-linter")
    graph = grimp.build_graph(*ROOTS, exclude_type_checking_imports=True, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def _cycle(imports: dict[str, set[str]]) -> list[str]:
    """Return a cycle of imports, empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_through_others() -> None:
    """No chain of imports, whether at the top of a module or inside a function, leads back to its beginning."""
    assert _cycle(_imports()) == []


def test_a_cycle_is_found() -> None:
    """An import of the gallery by the index would close a cycle."""
    imports = _imports()
    imports["faceall.index.face_index"].add("faceall.gallery.gallery")
    assert "faceall.index.face_index" in _cycle(imports)
