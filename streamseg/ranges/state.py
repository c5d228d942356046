"""What stages know, frozen: as bytes, with which stages in another process go on exactly as these would have.

Pictures are not in it: a frame is its number, and who thaws it decodes that frame again. Nor is what a stage was given when it was
made, such as functions, which the stage that goes on has, too (`given`).

The files lie where many machines write, so that what is read is no program: classes of streamseg's stages, arrays, plain values.
Nothing else is let in; still, as of the films themselves, who can write there is to be trusted.
"""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from streamseg.core.types import Frame
from streamseg.errors import ResultsError

__all__ = ["Frozen", "freeze", "frozen_frames", "thaw"]

_ROOMS = frozenset(
    "core track link temporal occlusion events scene composite shield select edits detect removal pixels runtime telemetry".split()  # noqa: SIM905
)
_REPORTS = frozenset({"streamseg.pipeline.report", "streamseg.pipeline.edit", "streamseg.ranges.found"})
_PLAIN: Mapping[str, frozenset[str]] = {
    "builtins": frozenset({"set", "frozenset", "bytearray", "complex", "slice", "range", "object", "dict", "list", "tuple"}),
    "collections": frozenset({"deque", "OrderedDict", "defaultdict", "Counter"}),
    "fractions": frozenset({"Fraction"}),
    "array": frozenset({"_array_reconstructor", "array"}),
    "copyreg": frozenset({"_reconstructor", "__newobj__", "__newobj_ex__"}),
    "types": frozenset({"MappingProxyType"}),
    "numpy": frozenset({"ndarray", "dtype"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
}

Frozen = bytes
FrameOf = Callable[[tuple[Any, ...]], Frame]


class _Freezer(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.frames: dict[int, Frame] = {}

    def persistent_id(self, thing: object) -> object:
        if not isinstance(thing, Frame):
            return None
        self.frames[thing.index] = thing
        return told(thing)


def told(frame: Frame) -> tuple[Any, ...]:
    """All of a frame but its picture and when it was decoded."""
    base = frame.time_base
    return (
        frame.index,
        frame.pts,
        frame.duration,
        frame.epoch,
        frame.width,
        frame.height,
        frame.picture.format.name if frame.picture is not None else "",
        frame.field_order,
        frame.synthetic_pts,
        frame.corrupt,
        (base.numerator, base.denominator),
    )


class _Thawer(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, frame_of: FrameOf, where: str) -> None:
        super().__init__(file)
        self._frame_of, self._where = frame_of, where

    def persistent_load(self, told: Any) -> Frame:
        return self._frame_of(told)

    def find_class(self, module: str, name: str) -> Any:
        parts = module.split(".")
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        own = parts[0] == "streamseg" and len(parts) > 1 and (parts[1] in _ROOMS or module in _REPORTS)
        if own and name.isidentifier():  # with dots in it, a name would lead through a module's imports
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise ResultsError(f"{self._where}: it holds {module}.{name}, which no stage knows: it was not written by streamseg")


def freeze(things: object) -> tuple[Frozen, list[int]]:
    """`things` as bytes, and the numbers of the frames that they refer to, rising.

    What they share stays shared. Raises TypeError, AttributeError or pickle.PicklingError where something in them cannot be frozen.
    """
    file = io.BytesIO()
    freezer = _Freezer(file)
    freezer.dump(things)
    return zlib.compress(file.getbuffer(), 1), sorted(freezer.frames)


def thaw(frozen: Frozen, frame_of: FrameOf, where: str) -> Any:
    """What was frozen. `frame_of`: gives a frame by what `told` says of it; `where`: what errors name.

    Raises ResultsError for what is damaged, or was not frozen here.
    """
    try:
        return _Thawer(io.BytesIO(zlib.decompress(frozen)), frame_of, where).load()
    except ResultsError:
        raise
    except (pickle.UnpicklingError, zlib.error, ArithmeticError, AttributeError, EOFError, ImportError) as error:
        raise ResultsError(f"{where}: it cannot be read ({error})") from error
    except (LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise ResultsError(f"{where}: it cannot be read ({error})") from error


def frozen_frames(frozen: Frozen) -> list[int]:
    """The numbers of the frames that it refers to, rising. Raises ResultsError."""
    numbers: set[int] = set()

    def note(told: tuple[Any, ...]) -> Any:
        numbers.add(told[0])
        return None

    thaw(frozen, note, "a frozen stage")
    return sorted(numbers)
