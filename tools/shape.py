"""The shape of the house: its rooms, their floors, imports that run back up, and circles.

    python -m tools.shape

A room is a folder of `streamseg/` or a module beside them. `FLOORS` holds the order: a room imports only from rooms on floors
below its own. Imports within functions count, and those for type checkers only.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["ALLOWED", "FLOORS", "Import", "circles", "imports", "runs_up"]

PACKAGE = "streamseg"
ROOT = Path(__file__).resolve().parents[1]

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("system",),
    ("runtime", "pixels"),
    ("device", "core"),
    ("select", "trip"),
    ("datasets", "networks", "track", "temporal", "occlusion", "events", "decode", "record"),
    ("composite", "scene", "telemetry"),
    ("config", "export", "encode", "link"),
    ("edits", "removal", "shield"),
    ("report", "sheet"),
    ("hub",),
    ("engine",),
    ("detect",),
    ("gpu",),
    ("pipeline",),
    ("jobs", "live"),
    ("ranges",),
    ("cluster", "ray"),
    ("api", "evaluate", "serve"),
    ("__init__",),
    ("training",),
    ("cli",),
    ("__main__",),
)
"""From the ground up."""

ALLOWED = frozenset({("core.result", "composite")})
"""Imports that run up all the same: `Result.plot` draws."""


class Import(NamedTuple):
    """One import, of this package by itself."""

    module: str
    """Without the package's name."""
    target: str
    """The module, or package, that is imported or from which a name is."""
    line: int


def imports(root: Path = ROOT) -> list[Import]:
    """The imports of the package's modules by each other, each pair once."""
    files = {_module(path, root): path for path in sorted((root / PACKAGE).rglob("*.py"))}
    found: dict[tuple[str, str], Import] = {}
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            for target in _targets(node, files):
                if target != module:
                    found.setdefault((module, target), Import(module, target, node.lineno))  # type: ignore[attr-defined]
    return list(found.values())


def room(module: str) -> str:
    """The room that a module lies in."""
    return module.split(".", 1)[0]


def runs_up(found: list[Import]) -> list[Import]:
    """Those that do not go to a floor below, whether allowed or not; KeyError for a room that has no floor."""
    floor = {name: height for height, names in enumerate(FLOORS) for name in names}
    return [i for i in found if room(i.module) != room(i.target) and floor[room(i.target)] >= floor[room(i.module)]]


def circles(found: list[Import]) -> list[list[str]]:
    """Modules that import each other in a circle, lazily or not: the strongly connected components (Tarjan 1972).

    Those that only an allowed import closes are left out.
    """
    graph: dict[str, set[str]] = defaultdict(set)
    for each in found:
        if not _allowed(each):
            graph[each.module].add(each.target)
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in number:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], number[target])
        if low[module] == number[module]:
            component = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(component) > 1:
                components.append(sorted(component))

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return components


def main() -> int:
    """Print the shape; the exit code says whether it is as it should be."""
    found = imports()
    up = [i for i in runs_up(found) if not _allowed(i)]
    rooms = {room(i.module) for i in found} | {room(i.target) for i in found}
    for height, names in reversed(list(enumerate(FLOORS))):
        print(f"{height:3}  {'  '.join(names)}")
    for each in runs_up(found):
        note = "allowed" if _allowed(each) else "NOT ALLOWED"
        print(f"up: {PACKAGE}/{each.module.replace('.', '/')}.py:{each.line} imports {each.target} ({note})")
    for circle in circles(found):
        print(f"circle: {' '.join(circle)}")
    print(f"{len(rooms)} rooms, {len(FLOORS)} floors, {len(runs_up(found))} imports that run up, {len(circles(found))} circles")
    return int(bool(up or circles(found)))


def _allowed(each: Import) -> bool:
    return (each.module, room(each.target)) in ALLOWED


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _targets(node: ast.AST, files: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a node imports."""
    names = []
    if isinstance(node, ast.ImportFrom) and node.module:
        names = [(node.module, alias.name) for alias in node.names]
    elif isinstance(node, ast.Import):
        names = [(alias.name, "") for alias in node.names]
    for origin, name in names:
        if origin == PACKAGE:
            yield name if name in files else "__init__"
        elif origin.startswith(PACKAGE + "."):
            within = origin.removeprefix(PACKAGE + ".")
            yield f"{within}.{name}" if f"{within}.{name}" in files else within


if __name__ == "__main__":
    sys.exit(main())
