"""Finds the files that streamseg ships: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

__all__ = ["shipped_folder"]


def shipped_folder(folder: str) -> Path:
    """The folder `pipelines` or `engines` of this installation."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped" / folder
    return installed if installed.is_dir() else package.parent / folder
