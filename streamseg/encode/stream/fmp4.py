"""Fragmented MP4 for Media Source Extensions: a header once, then one fragment a picture (ISO/IEC 14496-12).

libav's muxer keeps a picture until the next one comes, because only then it knows how long it is shown: one picture of latency.
Here each says a generous second. The next picture's own time ends it earlier; and browsers drop what comes more than twice a
duration after the picture before (Media Source Extensions, coded frame processing), as where a camera pauses.
"""

from __future__ import annotations

from struct import pack

__all__ = ["TIMESCALE", "fragment", "init_segment"]

TIMESCALE = 90_000
"""Ticks a second."""
_TRACK = 1
_DURATION = TIMESCALE
_KEY, _DEPENDS = 0x02000000, 0x01010000
"""sample_depends_on 2: on no other picture; 1 and sample_is_non_sync_sample (8.8.3.1)."""
_MATRIX = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def init_segment(width: int, height: int, avcc: bytes) -> bytes:
    """`ftyp` and `moov` of one H.264 track. No duration is said anywhere: it is live, and players decode it without delay."""
    entry = bytes(6) + pack(">H16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1) + _box(b"avcC", avcc)
    table = _full(b"stsd", pack(">I", 1) + _box(b"avc1", entry))
    table += b"".join(_full(name, bytes(8 if name == b"stsz" else 4)) for name in (b"stts", b"stsc", b"stsz", b"stco"))
    place = _box(b"dinf", _full(b"dref", pack(">I", 1) + _full(b"url ", b"", flags=1)))
    information = _box(b"minf", _full(b"vmhd", bytes(8), flags=1) + place + _box(b"stbl", table))
    handler = _full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"camera\0")
    media = _box(b"mdia", _full(b"mdhd", pack(">IIIIHH", 0, 0, TIMESCALE, 0, 0x55C4, 0)) + handler + information)
    head = pack(">IIIII8xhhhH", 0, 0, _TRACK, 0, 0, 0, 0, 0, 0) + _MATRIX + pack(">II", width << 16, height << 16)
    track = _box(b"trak", _full(b"tkhd", head, flags=3) + media)
    movie = _full(
        b"mvhd", pack(">IIIIIH10x", 0, 0, TIMESCALE, 0, 0x10000, 0x100) + _MATRIX + bytes(24) + pack(">I", _TRACK + 1)
    )
    extends = _box(b"mvex", _full(b"trex", pack(">IIIII", _TRACK, 1, _DURATION, 0, _DEPENDS)))
    return _box(b"ftyp", b"iso5" + pack(">I", 512) + b"iso5iso6mp41avc1") + _box(b"moov", movie + track + extends)


def fragment(number: int, ticks: int, key: bool, sample: bytes) -> bytes:
    """`moof` and `mdat` of one picture, shown at `ticks`. `number` rises with each; `sample`: see `h264.length_prefixed`."""
    head = _full(b"mfhd", pack(">I", number & 0xFFFFFFFF))
    # Offsets count from the moof (default-base-is-moof).
    of_track = _full(b"tfhd", pack(">I", _TRACK), flags=0x020000) + _full(b"tfdt", pack(">Q", ticks), version=1)
    # data offset (to be known), duration, size and flags of one sample
    run = pack(">IiIII", 1, 0, _DURATION, len(sample), _KEY if key else _DEPENDS)
    size = 8 + len(head) + 8 + len(of_track) + 12 + len(run)
    run = pack(">IiIII", 1, size + 8, _DURATION, len(sample), _KEY if key else _DEPENDS)
    return _box(b"moof", head + _box(b"traf", of_track + _full(b"trun", run, flags=0x000701))) + _box(b"mdat", sample)


def _box(name: bytes, content: bytes) -> bytes:
    return pack(">I", 8 + len(content)) + name + content


def _full(name: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, pack(">I", version << 24 | flags) + content)
