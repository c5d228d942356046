"""Objects taken out of a film, where their background is seen at another time: what the effect `remove` does."""

from streamseg.removal.remover import Remover

__all__ = ["Remover"]
