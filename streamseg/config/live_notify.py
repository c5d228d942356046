"""The section `notify` of cameras.yaml: messages to phones and chats, through Apprise."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from streamseg.config.live_tell import Text, Told
from streamseg.config.secret import Secret
from streamseg.config.values import Seconds, parse_off

__all__ = ["NotifyConfig"]


class NotifyConfig(Told):
    """One or more addresses of Apprise that get the same messages."""

    to: Annotated[tuple[Secret, ...], Field(min_length=1)]
    """Addresses as Apprise writes them, as `ntfy://HOST/TOPIC`. They hold keys: none is ever shown."""
    title: Text = "$camera"
    text: Text = "$event $class $place $direction $state $reason"
    thumbnail: bool = True
    """Attach the object's picture, where the service takes one."""
    every: Annotated[Seconds, BeforeValidator(parse_off)] = 0.0
    """At most one message about a camera in this time; the others are left out, and counted."""
    max_age: Annotated[Seconds, BeforeValidator(parse_off)] = 3600.0
    """A message about what happened longer ago helps nobody."""
