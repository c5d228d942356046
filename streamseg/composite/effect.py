"""Effect: one thing that is done to the picture, and what it says of itself.

A built-in effect is a class in a module of this folder, and that is all: its `name` is its key in a pipeline file, the fields of
the dataclass are its options, and everything that others have to know of it stands in it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import selection_of
from streamseg.core.types import Activity, Instances
from streamseg.system.registry import why_no_options

__all__ = ["Chain", "Effect", "builtin", "why_not"]


class Effect:
    """Base of all effects: dataclasses, frozen, whose fields are the options that a pipeline file gives.

    Types of the fields are checked where the file is read; `__post_init__` raises ConfigError (or ValueError) for the rest.
    """

    name: ClassVar[str] = ""
    """Its key in a pipeline file. That of a plug-in is the name of its entry point."""
    colour: ClassVar[bool] = False
    """It draws in colours that mean something: a grey picture gets chroma for them."""
    alpha: ClassVar[bool] = False
    """Its pictures are transparent somewhere: the output must hold that."""
    replaces: ClassVar[bool] = False
    """It puts a picture of another kind in the place of the frame's: no kernel draws on that."""
    needs_masks: ClassVar[bool] = False
    """It does nothing of use with boxes alone (`Instances.has_masks`): refused before the run where these are all that there is."""
    remembers: ClassVar[bool] = False
    """What it draws depends on the frames before, so that it has to see all of them. Of a plug-in's this is taken for granted."""
    ahead: ClassVar[bool] = False
    """It looks at the frames after, too: a stage of its own draws it (`streamseg.removal`), before all others of an output."""
    kernel: ClassVar[str | None] = None
    """`module:function` that draws it on the GPU (see `streamseg.gpu.kernels.composite`); None: it is drawn in host memory."""

    def __call__(self, canvas: Canvas, instances: Instances, /) -> None:
        """Draw onto `canvas`, or replace its picture."""
        raise NotImplementedError

    def begin(self) -> Callable[[Canvas, Instances], None]:
        """What draws it in one run, from the first frame to the last: by default it does so itself.

        One that opens a file, or remembers something from frame to frame, gives a new object here; `close()`, where that has it,
        is called at the end. Raises ConfigError or SourceError.
        """
        return self

    def check(self) -> None:
        """Raise ConfigError or SourceError for what can be known before a run begins: a file that is not there."""

    @property
    def looks_back(self) -> bool:
        """`remembers`, of this one with its options."""
        return self.remembers

    @property
    def shows_road(self) -> bool:
        """It shows what the scene stage finds (docs/drive.md), and nothing where that did not look."""
        return False

    @property
    def in_color(self) -> bool:
        """`colour`, of this one with its options: a grey picture gets chroma for it."""
        return self.colour

    def __rshift__(self, after: Effect | Sequence[Effect]) -> Chain:
        """`Blur() >> Outline()`: both, in that order."""
        return Chain((self,)) >> after

    def class_names(self) -> Sequence[str]:
        """The classes that it names, all of which the model must know; by default those of its fields `classes` and `where`."""
        selection = selection_of(getattr(self, "where", "instances"))
        return (*(getattr(self, "classes", None) or ()), *(() if selection is None else selection.names))

    @property
    def asked_bits(self) -> int:
        """Bits of a sample that its picture is to have whatever the source has; 0: none were asked for."""
        return 0

    def fitting_kernel(self) -> str | None:
        """`kernel` where it can draw this effect with the options that it has; None: it is drawn in host memory."""
        return self.kernel

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """False where it would leave a frame's picture as it is, so that it need not be copied; in doubt True."""
        return True


class Chain(tuple[Effect, ...]):
    """Effects one after the other, made by `>>`; it stands wherever a sequence of effects does."""

    __slots__ = ()

    def __rshift__(self, after: Effect | Sequence[Effect]) -> Chain:
        """These, then `after`."""
        return Chain((*self, after) if isinstance(after, Effect) else (*self, *after))

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self))


@cache
def builtin() -> Mapping[str, type[Effect]]:
    """The effects of this folder, by name."""
    package = __name__.rpartition(".")[0]
    names = [found.name for found in pkgutil.iter_modules(import_module(package).__path__)]
    modules = [import_module(f"{package}.{name}") for name in names]
    own = [kind for module in modules for kind in vars(module).values() if getattr(kind, "__module__", "") == module.__name__]
    effects = [kind for kind in own if isinstance(kind, type) and issubclass(kind, Effect) and kind.name]
    return {kind.name: kind for kind in sorted(effects, key=lambda kind: kind.name)}


def why_not(thing: Any) -> str | None:
    """What keeps `thing` from being an effect; None: nothing does."""
    if not (isinstance(thing, type) and issubclass(thing, Effect)):
        return "it is not a class derived from streamseg.composite.Effect"
    return why_no_options(thing)
