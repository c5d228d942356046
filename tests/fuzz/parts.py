"""The parts of `make fuzz`, by name."""

from __future__ import annotations

from importlib import import_module

from tests.fuzz.base import Part

__all__ = ["NAMES", "part"]

_CLASSES = {
    "media": "tests.fuzz.media:Media",
    "addresses": "tests.fuzz.addresses:Addresses",
    "pipelines": "tests.fuzz.pipelines:Pipelines",
    "models": "tests.fuzz.models:Models",
    "manifests": "tests.fuzz.manifests:Manifests",
    "annotations": "tests.fuzz.annotations:Annotations",
    "records": "tests.fuzz.records:Records",
    "memory": "tests.fuzz.memory:Memory",
}
NAMES = tuple(_CLASSES)


def part(name: str) -> Part:
    """Imported when it is wanted: a child needs one of them."""
    module, _, cls = _CLASSES.get(name, "tests.fuzz.faulty:Faulty").partition(":")
    made: Part = getattr(import_module(module), cls)()
    return made
