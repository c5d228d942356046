"""What to run for a part that is not installed: `streamseg[...]` itself is on no index, so it depends on how this one came here."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["how_to_install"]

_NOTES = {
    "train": " (on Linux with torch for NVIDIA GPUs, 5 GB; a CPU build that is there before is kept: pytorch.org/get-started)",
    "gpu": " (with torch for NVIDIA GPUs, 5 GB)",
}


def how_to_install(extra: str) -> str:
    """The command that installs what `extra` brings, for this installation, and what is to be known of it."""
    return f"pip install {_what(extra)}{_NOTES.get(extra, '')}"


def _what(extra: str) -> str:
    root = Path(__file__).resolve().parents[2]
    try:
        installed = distribution("streamseg")
    except PackageNotFoundError:
        return _of_folder(root, extra) if (root / "pyproject.toml").is_file() else _of_index(extra)
    source = installed.read_text("direct_url.json")  # PEP 610: there unless it came from an index
    if source is None:
        return _of_index(extra)
    address = json.loads(source).get("url", "")
    place = Path(unquote(urlsplit(address).path))
    if address.startswith("file:") and place.exists():
        return _of_folder(place, extra)
    return " ".join(shlex.quote(requirement) for requirement in _requirements(installed, extra)) or _of_index(extra)


def _of_folder(place: Path, extra: str) -> str:
    """A checkout, or a wheel file."""
    return f"'.[{extra}]'" if place == Path.cwd() else shlex.quote(f"{place}[{extra}]")


def _of_index(extra: str) -> str:
    return f"'streamseg[{extra}]'"


def _requirements(installed: Distribution, extra: str) -> list[str]:
    """What the extra asks for, by itself."""
    found = []
    for requirement in installed.requires or []:
        what, _, marker = requirement.partition(";")
        if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", marker):
            found.append(what.strip())
    return found
