"""What is sent: read into a private temporary file, up to a size; nothing of it is kept, and its name is never used."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request

__all__ = ["Refused", "body_of", "upload"]


class Refused(Exception):
    """A request that cannot be answered as asked: an HTTP status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


async def body_of(request: Request, most: int) -> bytes:
    """The body, of at most so many bytes. Raises Refused."""
    parts, size = [], 0
    _refuse_announced(request, most)
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"the body is larger than {most} bytes")
        parts.append(part)
    return b"".join(parts)


@asynccontextmanager
async def upload(request: Request, most: int) -> AsyncIterator[Path]:
    """A file that holds the body, in a folder of its own that is removed afterwards. Raises Refused."""
    _refuse_announced(request, most)
    with tempfile.TemporaryDirectory(prefix="streamseg-serve-") as folder:
        path, size = Path(folder) / "upload", 0
        with path.open("wb") as file:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refused(413, f"the body is larger than {most} bytes")
                await anyio.to_thread.run_sync(file.write, part)
        if not size:
            raise Refused(400, "the body is empty; send the bytes of a picture or a film, as curl --data-binary @FILE does")
        yield path


def _refuse_announced(request: Request, most: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise Refused(413, f"the body is {length} bytes, and at most {most} are taken")
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise Refused(415, "a form is not read; send the bytes of the file alone, as curl --data-binary @FILE does")
