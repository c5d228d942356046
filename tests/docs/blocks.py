"""The code blocks of README.md and docs/, found and told apart.

A block that cannot be run in a test has a comment before it that says why: `<!-- not run: needs a GPU -->`. Its commands are parsed
all the same, so that no option stands there that the command line does not have.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = (
    *("streamseg", "pip", "make", "python", "python3", ".", "scp", "ssh", "docker", "ffmpeg", "ffplay", "curl"),
    *("sudo", "systemctl", "podman"),
)
"""What a line of a shell block may begin with; a block with other lines shows an answer."""

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+?) -->\n\s*)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: Path
    line: int
    """Of its first line of code, from 1."""
    language: str
    """`sh`, `python`, `yaml`, or `text` for what is an answer and not to be run."""
    text: str
    why_not: str | None
    """Why it is not run."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block, comments left out."""
        return [words for words in split(self.text) if words]


def split(text: str) -> list[list[str]]:
    """The words of each line; a line that ends in a backslash goes on."""
    return [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]


def blocks() -> Iterator[Block]:
    """All of them, page by page."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            yield Block(page, line, _kind(match["language"], match["text"]), match["text"], match["why"])


def _kind(language: str, text: str) -> str:
    if language not in ("", "sh"):
        return language
    try:
        lines = [words for words in split(text) if words]
    except ValueError:
        return "text"
    is_shell = bool(lines) and all(_program(words[0]) in PROGRAMS for words in lines)
    assert is_shell or language != "sh", f"a line begins with a program that tests/docs/blocks.py does not know: {text}"
    return "sh" if is_shell else "text"


def _program(word: str) -> str:
    """`.venv/bin/streamseg` is `streamseg`."""
    return word if word == "." else word.rsplit("/", 1)[-1]
