"""Performs a row: makes its source, runs the product on it, looks at both, and says what is wrong."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from tests.conformance import checks, groups, reference, results, sources
from tests.conformance.checks import Case
from tests.conformance.clip import Clip
from tests.conformance.expect import expected
from tests.conformance.observe import Seen, observe, observe_stills
from tests.conformance.row import Row
from tests.conformance.run import run

__all__ = ["Verdict", "Workshop", "perform", "rows"]


@dataclass(frozen=True)
class Verdict:
    """What became of a row."""

    wrong: list[str]
    """Against what its source asks for."""
    changed: list[str]
    """Against its stored reference."""
    line: dict[str, str]
    """What a reference would hold now."""


@cache
def rows() -> dict[str, Row]:
    """All rows by id, in the order of their groups' tables; what a table's FAILS names is known to fail."""
    found: dict[str, Row] = {}
    for name in sorted(module.name for module in iter_modules(groups.__path__)):
        table = import_module(f"{groups.__name__}.{name}")
        letters = {row: letter for letter, failing in getattr(table, "FAILS", {}).items() for row in failing.split()}
        if unknown := letters.keys() - {row.name for row in table.ROWS}:
            raise ValueError(f"groups/{name}.py: FAILS names {sorted(unknown)}, which are no rows of its table")
        for row in table.ROWS:
            named = replace(row, group=name, fails=letters.get(row.name, ""))
            if named.id in found:
                raise ValueError(f"two rows are called {named.id}")
            found[named.id] = named
    return found


@cache
def _stored(group: str) -> dict[str, dict[str, str]]:
    return reference.stored(group)


class Workshop:
    """Sources of a session: each made and read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[Clip, Seen] = {}

    def source(self, clip: Clip) -> tuple[Path, Seen]:
        """The file of a clip, and what PyAV sees in it."""
        path = sources.make(clip, self._root)
        if clip not in self._seen:
            self._seen[clip] = observe_stills(path) if path.is_dir() else observe(path)
        return path, self._seen[clip]


def perform(row: Row, workshop: Workshop) -> Verdict:
    """Run a row and judge it. Raises what the product raises."""
    path, source = workshop.source(row.clip)
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        outcome = run(row, path, Path(folder))
        if row.out in results.KINDS:
            wrong, line = results.judge(row, expected(row, source), outcome)
        else:
            made = observe_stills(outcome.path) if outcome.path.is_dir() else observe(outcome.path)
            case = Case.of(row, source, made, outcome)
            wrong, line = checks.problems(case), reference.line_of(case)
    return Verdict(wrong, reference.differences(_stored(row.group).get(row.name), line), line)
