"""The section `log` of cameras.yaml: what happens, written down line by line."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator

from streamseg.config.section import Section
from streamseg.config.values import parse_bytes
from streamseg.errors.describe import brief

__all__ = ["LogConfig"]


def _file(value: Any) -> str:
    """`-` is standard error."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    if not isinstance(text, str) or not text.strip() or text.endswith("/"):
        raise ValueError(f"{brief(value)} is no name of a file; write one, or - for standard error")
    return text


class LogConfig(Section):
    """One file, or standard error."""

    file: Annotated[str, PlainValidator(_file)] = "-"
    """A file that was moved away, as logrotate does, is begun anew. `-`: standard error, as a journal or a container reads it."""
    format: Literal["json", "text"] = "json"
    """`json`: an object a line; `text`: for people."""
    level: Literal["debug", "info", "warning"] = "info"
    """`warning`: what a person should look at. `info`: also each event and each change of a camera. `debug`: also what libraries
    say."""
    size: Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)] = 20 * 10**6
    """Bytes of one file, as 20MB; then a new one is begun. `off`: it is never begun anew."""
    keep: Annotated[int, Field(ge=0, le=1000)] = 5
    """Older files that are kept, as name.1, name.2, ..."""
