"""Single small changes of Python code: a comparison, a sign, a constant, an `and`, a `not`, a `return`."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants"]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    code: str
    """The whole module with it."""
    line: int
    place: str
    """Qualified name of the function or class, empty for the module."""
    before: str
    after: str
    statement: str
    """The first line of the statement in which it stands."""

    @property
    def key(self) -> str:
        """Names it in the list of equivalent ones, wherever its line has moved to."""
        return f"{self.place or 'module'}: {self.before} → {self.after} in: {self.statement}"


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    tree = ast.parse(source)
    return [_mutant(tree, path, change) for path, change in _sites(tree)]


Path = tuple[tuple[str, int | None], ...]


def _sites(tree: ast.Module) -> Iterator[tuple[Path, int]]:
    """(way to a node, number of its change)."""
    pending: list[tuple[ast.AST, Path]] = [(tree, ())]
    while pending:
        node, path = pending.pop()
        for number in range(len(_changes(node))):
            yield path, number
        children: list[tuple[ast.AST, Path]] = []
        for name, value in ast.iter_fields(node):
            if name in _unread(node):
                continue
            if isinstance(value, ast.AST):
                children.append((value, (*path, (name, None))))
            elif isinstance(value, list):
                children += [(item, (*path, (name, i))) for i, item in enumerate(value) if isinstance(item, ast.AST)]
        pending += [(child, way) for child, way in reversed(children) if _counts(child)]


def _unread(node: ast.AST) -> tuple[str, ...]:
    """Parts of a node that are not computed, or only for a message."""
    if isinstance(node, ast.Raise):
        return ("exc", "cause")
    if isinstance(node, ast.Assert):
        return ("msg",)
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
        return ("value",)
    return ("annotation", "returns", "decorator_list", "type_comment", "ctx")


def _counts(node: ast.AST) -> bool:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return False
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return not docstring and not isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom))


def _changes(node: ast.AST) -> list[ast.AST]:
    """What may stand in a node's place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        return [ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _is_text(node.left):
        return [ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return [ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return [ast.Constant(not node.value)]
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return [ast.Constant(node.value + 1)]
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return [ast.Constant(node.value * 2 + (node.value == 0))]
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        return [ast.Return(ast.Constant(None))]
    if isinstance(node, (ast.If, ast.IfExp)):
        other = copy.copy(node)
        other.test = ast.UnaryOp(ast.Not(), node.test)
        return [other]
    return []


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _mutant(tree: ast.Module, path: Path, change: int) -> Mutant:
    changed = copy.deepcopy(tree)
    place, statement, parent, node = [], "", changed, changed  # type: ignore[var-annotated]
    for name, index in path:
        parent = node  # type: ignore[assignment]
        value = getattr(node, name)
        node = value if index is None else value[index]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            place.append(node.name)
        if isinstance(node, ast.stmt):
            statement = ast.unparse(node).splitlines()[0]
    new = _changes(node)[change]
    name, index = path[-1]
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new
    head = (ast.unparse(n).splitlines()[0] for n in (node, new))
    return Mutant(
        ast.unparse(ast.fix_missing_locations(changed)), getattr(node, "lineno", 0), ".".join(place), *head, statement
    )
