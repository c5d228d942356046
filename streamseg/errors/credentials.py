"""Passwords, tokens and signatures in addresses: the one place that takes them out of whatever is shown.

`scrub` is for any text (messages, reports, tracebacks), `shown` for a string that is known to be one address. Where an address can
be read in two ways (`a:1/b@c` is a host with a port and a path, or a password with a slash), the reading that shows less counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

__all__ = ["doubtful", "misread", "scrub", "shown"]

HIDDEN = "***"
_EXAMPLE = "user:password@"
"""What our own advice says, and nobody's secret."""
_DEEPEST = 16
"""Addresses within addresses that are looked into."""

# Runs are bounded: of a word of many thousand characters each would else be tried from every one of them.
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,40}://")
_NEXT = re.compile(r"[\s,;|'\"`<>()\[\]{}=][a-zA-Z][a-zA-Z0-9+.-]*://")
"""Where another address begins: within a password, `://` follows other characters."""
_ENCODED = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,40}%(?:25)*3a%(?:25)*2f%(?:25)*2f[^\s'\"<>]*", re.IGNORECASE)
_WORD = re.compile(r"[^\s'\"<>]+")
_TELLS = re.compile(r"@|\?.*=")
_HOST = re.compile(r"(?:\[[0-9a-zA-Z:.%]*\]|[\w.-]*)(?::(?P<port>\d{0,5}))?")
_BARE_IPV6 = re.compile(r"[0-9a-fA-F.]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*")
_BARE = re.compile(r"/*[^\s/:]*:.*@(?=[\w\[])", re.DOTALL)
"""`user:password@` without a scheme before it."""
_TIME_OF_DAY = re.compile(r"\d:\d\d(?::\d\d)?(?:\.\d+)?@")
_HEADER = re.compile(r"((?:proxy-)?authorization\W{1,4}(?:basic |bearer |digest )?)[^\s'\",}]+", re.IGNORECASE)
_KEY = re.compile(r"[\w.~%\[\]-]{1,64}")
_SECRET_PARTS = (
    "token", "auth", "pas", "pwd", "psw", "secret", "sign", "cred", "apikey", "accesskey", "hmac", "jwt", "session", "ticket"
)  # fmt: skip
_SECRET_NAMES = frozenset({"key", "pw", "pin", "psk", "sid", "code", "hash", "policy", "otp", "hdnts", "hdnea", "sas"})
_IN_PATH = re.compile(
    r"((?:token|auth|pas|pwd|psw|secret|signature|\bsig|key|hmac)[\w.-]{0,64}?=).*", re.IGNORECASE | re.DOTALL
)
_KEY_IN_PATH = re.compile(
    r"(?<=/)(?=[^/]*[0-9][^/]*[0-9])(?=[^/]*[a-z])(?:(?=[^/]*[A-Z])(?:[a-zA-Z0-9]{16,}|[\w-]{40,})|(?:[a-z0-9]{4}-){3,}[a-z0-9]{4})(?=/|$)"
)
"""A part of a path that nobody has thought up: the key of a stream, which is all that is asked for."""
_TOKEN = re.compile(r"(?=[^0-9]*[0-9])(?=[^a-zA-Z]*[a-zA-Z])(?:[\w+/=~%-]{20,}|eyJ[\w.=-]{20,})")


def scrub(text: str) -> str:
    """`text` with `***` for what could let somebody in: user and password, tokens and signatures, of every address in it."""
    if "@" not in text and "=" not in text and ":" not in text and "%" not in text:
        return text
    pieces, at = [], 0
    while (start := _SCHEME.search(text, at)) is not None:
        end = _extent(text, start.start(), start.end())
        pieces += [_plain(text[at : start.start()]), shown(text[start.start() : end])]
        at = end
    return _HEADER.sub(rf"\1{HIDDEN}", "".join([*pieces, _plain(text[at:])]))


def shown(address: str) -> str:
    """What may be shown of one address, with or without a scheme, whatever characters its password holds."""
    start = _SCHEME.match(address)
    if start is None:
        bare = _BARE.match(address)
        if bare is None or _TIME_OF_DAY.search(bare[0][-16:]) or bare[0] == _EXAMPLE:
            return _details(address)
        return f"{HIDDEN}@{_details(address[bare.end() :])}"
    rest = address[start.end() :]
    hidden = _user_info(rest)
    if hidden is None:
        authority = _authority(rest)
        if not any(map(str.isalnum, authority)):  # a scheme alone, in a list of them
            return start[0] + authority + _details(rest[len(authority) :])
        # Neither host nor host:port, and no @: a password that was cut off, or whose @ was encoded.
        user, colon, _ = authority.partition(":")
        return start[0] + (f"{user}:{HIDDEN}" if colon else HIDDEN)
    plain = hidden < 2 or rest[:hidden] == _EXAMPLE
    return start[0] + (rest[:hidden] if plain else f"{HIDDEN}@") + _details(rest[hidden:], keys=True)


def misread(address: str) -> bool:
    """Whether the user name or password of an address with a scheme holds a raw character that FFmpeg takes for its end."""
    start = _SCHEME.match(address)
    rest = address[start.end() :] if start else address
    authority = _authority(rest)
    return not _is_host(authority.rpartition("@")[2]) or bool(re.search(r"\s", authority))


def doubtful(address: str) -> bool:
    """Whether the user name or password holds something that should be percent-encoded, though it may be read as it is meant."""
    start = _SCHEME.match(address)
    rest = address[start.end() :] if start else address
    raw = rest[: max(0, (_user_info(rest) or 0) - 1)]
    return bool(re.search(r"[@/?#\s]|:.*:|%(?![0-9a-fA-F]{2})", raw))


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _is_host(text: str) -> bool:
    """Whether it can be HOST, HOST:PORT, [IPv6] or [IPv6]:PORT; an IPv6 address without brackets is one, too."""
    match = _HOST.fullmatch(text)
    return (match is not None and int(match["port"] or 0) < 65536) or _BARE_IPV6.fullmatch(text) is not None


def _user_info(rest: str) -> int | None:
    """How much of what follows `scheme://` is `user:password@`; None if it is neither that nor a host."""
    authority, last = _authority(rest), rest.rfind("@") + 1
    if "@" in authority or not authority:
        return last
    if not _is_host(authority):
        return last or None
    tail = rest[len(authority) :]
    if authority.startswith("["):
        return 0
    # A port that is left out behind its colon, and an IPv6 address that ends with one, as a network's does and no host's, are what
    # a password looks like that begins with a slash or the like.
    if authority.endswith(":"):
        return last
    # One that begins with digits and goes on after a slash looks like a port.
    port = ":" in authority and not _BARE_IPV6.fullmatch(authority)
    before_query = re.split(r"\?[\w.~%\[\]-]+=", tail, maxsplit=1)[0]
    return last if port and "@" in before_query else 0


def _extent(text: str, start: int, body: int) -> int:
    """Where an address in a longer text ends: at the quote that closes the one before it, else at white space."""
    line_end = text.find("\n", body) if "\n" in text[body:] else len(text)
    quote = text[start - 1] if start else ""
    if quote and quote in "'\"`":
        closing = re.compile(rf"(?<!\\){quote}(?=$|[\s,;:.)\]}}>])").search(text, body, line_end)
        if closing is not None:
            return closing.start()
    following = _NEXT.search(text, body, line_end)
    limit = following.start() if following else line_end
    end = _word_end(text, body, limit)
    # A space within a password: what stands before it is no host.
    while "@" not in text[body:end] and not _is_host(_authority(text[body:end])) and "@" in text[end:limit]:
        end = _word_end(text, end + 1, limit)
    # The colon of the sentence, as in "http://host:80: cannot listen there".
    if text[end - 1] == ":" and "@" not in text[body:limit] and _is_host(text[body : end - 1]):
        return end - 1
    return end


def _word_end(text: str, at: int, limit: int) -> int:
    space = re.compile(r"\s").search(text, at, limit)
    return space.start() if space else limit


def _plain(text: str) -> str:
    """A text without `scheme://` in it: percent-encoded addresses, and `user:password@host`."""
    text = _ENCODED.sub(lambda match: _nested(match[0]), text)
    if "@" in text or "?" in text:
        text = _WORD.sub(lambda match: shown(match[0]) if _TELLS.search(match[0]) else match[0], text)
    return text


def _nested(text: str) -> str:
    """An address within another, as it is, or percent-encoded once or more: shown decoded where there is something to hide."""
    decoded = text
    while _ENCODED.search(decoded) and (again := unquote(decoded)) != decoded:
        decoded = again
    if not _SCHEME.search(decoded):
        return text
    if decoded.count("://") > _DEEPEST:
        return HIDDEN
    hidden = scrub(decoded)
    return text if hidden == decoded else hidden


def _details(text: str, keys: bool = False) -> str:
    """Host, path, query and fragment; `keys`: parts of the path may be keys, as of a server's, not of a folder's."""
    path, mark, rest = _split(text, "?#")
    path = _IN_PATH.sub(rf"\1{HIDDEN}", _nested(path))
    path = _KEY_IN_PATH.sub(HIDDEN, path) if keys else path
    if mark == "#":
        return f"{path}#{_pairs(rest)[0]}"
    query, mark2, fragment = _split(rest, "#")
    pairs, secret = _pairs(query)
    tail = (f"#{HIDDEN}" if secret else f"#{_pairs(fragment)[0]}") if mark2 else ""
    return f"{path}{mark}{pairs}{tail}"


def _split(text: str, marks: str) -> tuple[str, str, str]:
    match = re.search(f"[{marks}]", text)
    return (text[: match.start()], match[0], text[match.end() :]) if match else (text, "", "")


def _pairs(query: str) -> tuple[str, bool]:
    """`a=1&token=***`, and whether the last value is a secret. What has no `=` is part of the value before it."""
    made = list(_pieces(query))
    return "".join(text for text, _ in made), bool(made and made[-1][1])


def _pieces(query: str) -> Iterator[tuple[str, bool]]:
    secret, separator = False, ""
    for number, piece in enumerate(re.split(r"([&;?])", query)):
        if number % 2:
            if not secret:
                yield piece, secret
            separator = piece
            continue
        key, equals, value = piece.partition("=")
        if equals and _KEY.fullmatch(key):
            if secret:
                yield separator, secret
            address = "://" in value or _ENCODED.search(value)
            secret = _is_secret(key) or (not address and _TOKEN.fullmatch(value) is not None)
            yield f"{key}={HIDDEN if secret and any(map(str.isalnum, value)) else _nested(value)}", secret
        elif not secret:
            yield HIDDEN if _TOKEN.fullmatch(piece) else _nested(piece), False


def _is_secret(key: str) -> bool:
    name = unquote(key).lower()
    plain = re.sub(r"[^a-z0-9]", "", name)
    last = re.split(r"[^a-z0-9]", name)[-1]
    return any(part in plain for part in _SECRET_PARTS) or plain.endswith("sig") or not _SECRET_NAMES.isdisjoint({plain, last})
