"""A password or key in a file of settings: written there, in a file of its own, or in the environment. Never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainValidator

from streamseg.errors import ConfigError

__all__ = ["Secret", "SecretText", "parse_secret"]

_HOW = "write a text in quotes, {file: PATH} or {env: NAME}"


class SecretText:
    """A secret. It is read when it is asked for, so that a file that is changed counts the next time."""

    __slots__ = ("_from", "_kind")

    def __init__(self, kind: str, origin: str) -> None:
        """kind: `text`, `file` or `env`; origin: the secret itself, the path, or the variable's name."""
        self._kind, self._from = kind, origin

    def get(self) -> str:
        """The secret. Raises ConfigError where the file or the variable is not there or empty."""
        if self._kind == "text":
            return self._from
        if self._kind == "env":
            found = os.environ.get(self._from, "")
            if not found:
                raise ConfigError(f"the environment has no {self._from}, which is to hold a password or key")
            return found
        try:
            found = Path(self._from).expanduser().read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"cannot read {self._from}, which is to hold a password or key: {why}") from error
        if not found:
            raise ConfigError(f"{self._from}, which is to hold a password or key, is empty")
        return found

    def __repr__(self) -> str:
        return "SecretText(***)" if self._kind == "text" else f"SecretText({self._kind}: {self._from})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and (self._kind, self._from) == (other._kind, other._from)

    def __hash__(self) -> int:
        return hash((self._kind, self._from))


def parse_secret(value: Any) -> SecretText:
    """As a file of settings has it. Raises ValueError, in which the value is not shown."""
    if isinstance(value, SecretText):
        return value
    if isinstance(value, str) and value:
        return SecretText("text", value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, origin),) = value.items()
        if kind in ("file", "env") and isinstance(origin, str) and origin:
            return SecretText(kind, origin)
    raise ValueError(f"not allowed (it is not shown here); {_HOW}")


Secret = Annotated[SecretText, PlainValidator(parse_secret)]
