"""Packages that seem to be installed: a folder on the path with modules and what says of which package they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def installed(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str],
    *,
    package: str = "shiny",
    version: str = "1.2",
) -> None:
    """Let a package be found that has `modules` (name → text) and `entry_points` (kind → name → module:Class)."""
    folder.mkdir(exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    about = folder / f"{package}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    groups = [
        f"[streamseg.{kind}s]\n" + "".join(f"{name} = {where}\n" for name, where in points.items())
        for kind, points in entry_points.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups))
    monkeypatch.syspath_prepend(str(folder))
