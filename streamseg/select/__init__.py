"""Selections: which of the objects of a film are meant, in words that a person types (docs/selections.md)."""

from streamseg.select.selection import Selection

__all__ = ["Selection"]
