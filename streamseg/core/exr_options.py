"""What an EXR holds and how, as a pipeline file says it under `encode: {exr: ...}`; read by `encode.exr`, and so a noun of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamseg.errors import ConfigError

__all__ = ["ExrOptions"]

_MOST_RANKS = 16


@dataclass(frozen=True)
class ExrOptions:
    """Raises ConfigError for a number of ranks that Cryptomatte cannot have."""

    light: Literal["linear", "display"] = "linear"
    """Of R, G and B: `linear` scene light, the source's transfer undone; or the source's own non-linear signal, `display`."""
    layers: Literal["track", "class", "both", "none"] = "track"
    """Mattes as layers of their own: one a track, one a class."""
    cryptomatte: Literal["track", "class", "both", "none"] = "both"
    """`CryptoObject`, an id a track, and `CryptoClass`, an id a class."""
    ranks: int = 6
    """How many ids a pixel may have in a Cryptomatte, two to a layer."""

    def __post_init__(self) -> None:
        if not 2 <= self.ranks <= _MOST_RANKS or self.ranks % 2:
            raise ConfigError(
                f"exr: ranks is an even number from 2 to {_MOST_RANKS}, since a layer holds two; got {self.ranks}"
            )
