"""Cryptomatte (Psyop's specification, 1.1.0 and later): which objects cover a pixel, and how much, by ids that are hashes of names.

An id is MurmurHash3 (32 bits) of the name, taken for the bits of a float whose exponent is kept from 0 and 255, so that it is no
NaN, infinity or denormal. Ids and coverages are ranked by coverage; layer 00 holds ranks 0 and 1 as R G and B A, 01 the next two.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from streamseg.core.masks import Region
from streamseg.errors import MissingExtra

__all__ = ["Ranks", "id_bits", "id_of", "metadata"]

Floats = npt.NDArray[np.float32]


@lru_cache(maxsize=65536)
def id_bits(name: str) -> int:
    """The 32 bits of the id of `name`, without a sign. Raises MissingExtra without the package mmh3."""
    hashed = _hash(name)
    exponent = min(max(hashed >> 23 & 0xFF, 1), 254)
    return hashed & 0x807FFFFF | exponent << 23


def id_of(name: str) -> np.float32:
    """The id of `name` as it stands in pixels."""
    return np.float32(struct.unpack("<f", struct.pack("<I", id_bits(name)))[0])


def metadata(kind: str, names: Iterable[str]) -> dict[str, str]:
    """The attributes of a header that describe the Cryptomatte called `kind`, of objects of these `names`."""
    key = f"cryptomatte/{_hash(kind):08x}"[: len("cryptomatte/") + 7]
    manifest = {name: f"{id_bits(name):08x}" for name in names}
    return {
        f"{key}/name": kind,
        f"{key}/hash": "MurmurHash3_32",
        f"{key}/conversion": "uint32_to_float32",
        f"{key}/manifest": json.dumps(manifest, ensure_ascii=False, separators=(",", ":")),
    }


def _hash(name: str) -> int:
    try:
        import mmh3
    except ImportError as error:
        raise MissingExtra("mmh3", "edit") from error
    return int(mmh3.hash(name.encode(), signed=False))


class Ranks:
    """The layers of one Cryptomatte of one frame, filled object by object."""

    def __init__(self, width: int, height: int, count: int, empty: Floats) -> None:
        """`count` ranks; those that nothing reaches are all the one `empty` plane, [height, width] of zeros."""
        self._shape, self._count, self._empty = (height, width), count, empty
        self._ranks: list[tuple[Floats, Floats]] = []
        """Of each rank that is used, from the greatest coverage: ids, and coverages."""

    def add(self, name: str, region: Region, coverage: Floats) -> None:
        """An object that covers `coverage` [region height, region width], 0..1, of the pixels of `region`.

        Each object is added once. Where there are more than there are ranks, those of least coverage are left out.
        """
        x0, y0, x1, y1 = region
        ids: Floats = np.full(coverage.shape, id_of(name), np.float32)
        carried = coverage.copy()
        for rank in range(self._count):
            if not carried.any():
                return
            if rank == len(self._ranks):
                self._ranks.append((np.zeros(self._shape, np.float32), np.zeros(self._shape, np.float32)))
            there_id, there = (plane[y0:y1, x0:x1] for plane in self._ranks[rank])
            wins = carried > there
            carried, there[...] = np.where(wins, there, carried), np.where(wins, carried, there)
            ids, there_id[...] = np.where(wins, there_id, ids), np.where(wins, ids, there_id)

    def channels(self, kind: str) -> dict[str, Floats]:
        """`{kind}00.R` and so on: float32 [height, width]."""
        channels = {}
        for rank in range(self._count):
            planes = self._ranks[rank] if rank < len(self._ranks) else (self._empty, self._empty)
            for letter, plane in zip("RG" if rank % 2 == 0 else "BA", planes, strict=True):
                channels[f"{kind}{rank // 2:02}.{letter}"] = plane
        return channels
