"""Campaign over addresses: what a user may type as a source, hostile or slipped, with a secret in it that must not come out.

Only addresses of this machine, where nothing listens, are opened.
"""

from __future__ import annotations

import random
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from streamseg.decode import Decoder
from streamseg.decode.address import PROTOCOLS, parse_source
from streamseg.errors import StreamsegError, credentials
from tests.fuzz.base import Wrong

SCHEMES = (*PROTOCOLS, "RTSP", "ftp", "sftp", "file", "concat", "subfile", "data", "x-none", "onvif")
HOSTS = ("127.0.0.1:1", "localhost:1", "[::1]:1")
QUERIES = (
    "token",
    "password",
    "passwd",
    "pwd",
    "auth",
    "key",
    "api_key",
    "apikey",
    "access_token",
    "signature",
    "sig",
    "secret",
)
PIECES = (
    "admin",
    "user",
    "",
    ":",
    "@",
    "/",
    "#",
    "?",
    "%",
    "%40",
    "%2F",
    "é",
    "木",
    " ",
    "'",
    '"',
    "\\",
    "|",
    ",",
    "&",
    "=",
    ";",
    "[",
    "]",
)
PATHS = ("", "/", "/main", "/stream1?channel=1", "/a b", "/cam@2/x", "/../..", "/%00", "/?", "/live.m3u8", "/a#b")
ODD = ("\0", "\n", "\r\n", "\t", "\ud800", "~nobody/", "~", "%05d", "%99999999999d", "*", "[", "**", "?", "9" * 5000, "٣",
    "-", "--", "../",
       "/dev/null", "/dev/video0", "concat:", "subfile,,start,1,,:", "file:", "a" * 5000, "://", "@", ":", "|", "é",
       " ")  # fmt: skip


@dataclass
class Case:
    """An address, and what is secret in it."""

    text: str
    secret: str
    """Empty: nothing is."""
    opened: bool


class Addresses:
    """See the module."""

    name, count = "addresses", 5000

    def prepare(self, folder: Path) -> None:
        """Nothing is needed."""

    def make(self, rng: random.Random) -> Case:
        """A URL with a secret in it, or any text."""
        if rng.random() < 0.3:
            return Case("".join(rng.choice(ODD + PIECES) for _ in range(rng.randrange(1, 5))), "", False)
        scheme, host = rng.choice(SCHEMES), rng.choice(HOSTS)
        opened = scheme in PROTOCOLS and rng.random() < 0.15
        secret = "S3" + "".join(rng.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(8))
        user, query = "", ""
        if rng.random() < 0.67:
            name = rng.choice(("admin:", "", "a@b:", "ad min:", ":"))
            password = "".join([*rng.choices(PIECES, k=rng.randrange(3)), secret, *rng.choices(PIECES, k=rng.randrange(3))])
            # Without a colon before it, what a slash follows is a host.
            user = name + (quote(password, safe="") if not name or rng.random() < 0.3 else password) + "@"
        else:
            query = f"{rng.choice('?&;')}{rng.choice(QUERIES)}={secret}"
        path = rng.choice(PATHS)
        query = query if not query or "?" not in path else "&" + query[1:]
        return Case(f"{scheme}://{user}{host}{path}{query if '?' in path else query.replace('&', '?', 1)}", secret, opened)

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / "input.txt"
        path.write_text(f"{case.text!r}\n", "utf-8", "backslashreplace")
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Parse it, show it, perhaps open it."""
        shown, outcome = [credentials.shown(case.text)], "read"
        try:
            address = parse_source(case.text, timeout=0.5)
            shown += [repr(address), str(address), address.name]
            if case.opened:
                Decoder(case.text, timeout=0.5, reconnect=0.0).open()
                outcome = "opened"
        except StreamsegError as error:
            outcome = type(error).__name__
            shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
            shown += [repr(vars(e)) for e in (error.__cause__, error.__context__) if e is not None]
        for text in shown:
            if case.secret and case.secret in re.sub(r'File ".*?", line', "", text):
                raise Wrong(f"the secret is shown: {text[-300:]}")
        return outcome
