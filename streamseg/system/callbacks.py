"""The types of callbacks: one for messages, one for progress."""

from collections.abc import Callable

__all__ = ["Message", "Progress"]

Message = Callable[[str], None]
"""Called with a sentence for the user. Parameters of this type are named `on_message`."""

Progress = Callable[[int, int | None], None]
"""Called with how many units are done, and of how many; None: not known. Parameters of this type are named `on_progress`."""
