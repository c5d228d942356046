"""The house's order: which room may import from which."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import shape


@pytest.fixture(scope="module")
def found() -> list[shape.Import]:
    return shape.imports()


def test_nothing_is_imported_from_a_floor_above(found: list[shape.Import]) -> None:
    up = [i for i in shape.runs_up(found) if (i.module, shape.room(i.target)) not in shape.ALLOWED]
    assert not up, "move what is shared down, or the importer up (docs/architecture.md)"


def test_no_modules_import_each_other_in_a_circle(found: list[shape.Import]) -> None:
    assert shape.circles(found) == []


def test_every_room_has_a_floor_and_every_floor_a_room(found: list[shape.Import]) -> None:
    rooms = {shape.room(name) for i in found for name in (i.module, i.target)}
    assert rooms == {name for names in shape.FLOORS for name in names}


def test_one_import_at_most_runs_up(found: list[shape.Import]) -> None:
    assert len(shape.ALLOWED) <= 1
    assert len(shape.runs_up(found)) <= 1


def test_imports_within_functions_and_for_type_checkers_count(tmp_path: Path) -> None:
    """The checker itself: each of these has to be found."""
    for name, text in {
        "errors": "def f():\n    from streamseg import cli\n",
        "cli": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from streamseg.errors import f\n",
        "system": "import streamseg.cli\n",
    }.items():
        (tmp_path / "streamseg").mkdir(exist_ok=True)
        (tmp_path / "streamseg" / f"{name}.py").write_text(text)
    found = shape.imports(tmp_path)
    assert {(i.module, i.target) for i in shape.runs_up(found)} == {("errors", "cli"), ("system", "cli")}
    assert shape.circles(found) == [["cli", "errors"]]
