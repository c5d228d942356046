"""The link that opens the page: a real host, the token in it, and for a phone as a QR code."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import socket
from pathlib import Path
from urllib.parse import quote

from streamseg.config.live_page import PageConfig
from streamseg.errors import OutputError
from streamseg.system.folders import config_root, elsewhere, make_folder
from streamseg.system.hosts import is_loopback

__all__ = ["link", "own_address", "qr", "token_of"]

_ANY = ("0.0.0.0", "::", "")


def token_of(page: PageConfig) -> str | None:
    """What opens the page; None: nobody but this machine, or a proxy that asks itself, reaches it. Raises OutputError."""
    if page.token == "off" or (page.token == "auto" and is_loopback(page.host) and not page.url):
        return None
    return _kept_token(config_root() / "page-token") if page.token == "auto" else page.token


def _kept_token(path: Path) -> str:
    """The one in the file, so that a link opens after a restart, too; made where there is none."""
    with contextlib.suppress(FileNotFoundError):
        if len(kept := path.read_text("utf-8", "replace").strip()) >= 20:
            return kept
    made = secrets.token_urlsafe(18)
    make_folder(path.parent)
    try:
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(made + "\n")
    except OSError as error:
        raise OutputError(f"cannot keep the page's token in {path}: {error.strerror}; {elsewhere(path)}") from error
    return made


def link(page: PageConfig, port: int, token: str | None) -> str:
    """What to open in a browser."""
    host = own_address() if page.host in _ANY else page.host
    base = page.url or f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    return base + (f"?token={quote(token, safe='')}" if token else "")


def own_address() -> str:
    """This machine's address in its network, as others reach it; its name where it is in none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # RFC 5737: sends nothing, but the system chooses the way
        address = str(probe.getsockname()[0])
        if not is_loopback(address):
            return address
    return socket.gethostname() or "127.0.0.1"


def qr(text: str) -> str:
    """The text as a QR code of blocks for a terminal."""
    import segno

    written = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(written, compact=True, border=2)
    return written.getvalue().rstrip("\n")
