"""Changes of JSON documents as trees: a value replaced, a key lost or renamed, an entry repeated."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

from tests.fuzz.damage import damaged

__all__ = ["ODD_VALUES", "changed"]

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 2**31, 2**63, -(2**63), 10**30, 10**400, 1e308, float("nan"), float("inf"), "", "a",
    "1", "é", "\ud800", "\0", "../x",
    "9" * 5000, [], {}, [[]], [None], [0], [1, 2, 3, 4], {"size": [1, 1], "counts": "0"}, ["a"], {"a": 1},
)  # fmt: skip


def changed(document: Any, rng: random.Random, values: Sequence[Any] = ODD_VALUES) -> bytes:
    """The document's JSON after one to four changes, some of them in its bytes."""
    tree = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = _places(tree)
        if not places:
            break
        container, key = rng.choice(places)
        way = rng.randrange(6)
        if way <= 3:
            container[key] = copy.deepcopy(rng.choice(values))
        elif way == 4:
            del container[key]
        elif isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        else:
            container["more"] = container.pop(key)
    data = json.dumps(tree).encode()
    return damaged(data, rng, [json.dumps(document).encode()]) if rng.random() < 0.2 else data


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value within."""
    found: list[tuple[Any, Any]] = []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        found += [(tree, key), *_places(value)]
    return found
