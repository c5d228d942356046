"""Sources with something beside their pictures (captions, HDR10+, an ICC profile), made by formula."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests import clips

ICC = b"".join(
    (struct.pack(">I4sI4s4s4s", 256, b"none", 0x04200000, b"mntr", b"RGB ", b"XYZ "), bytes(12), b"acsp", bytes(216))
)
"""The head of an ICC profile (ICC.1:2010, 7.2) without tags: what is carried, not what is applied."""


MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
"""A mastering display as x265 takes it: P3 primaries, D65, 0.005 to 1000 cd/m2."""


def hdr10(path: Path) -> Path:
    """Three pictures of HDR10 with a mastering display and light levels."""
    video = clips.Video(codec="libx265", pix_fmt="yuv420p10le", colour=clips.BT2020_PQ)
    video.options = {"x265-params": f"log-level=none:pools=1:master-display={MASTERING}:max-cll=1000,400"}
    return clips.cfr(path, 3, video=video)


def captions(number: int) -> bytes:
    """Two EIA-608 characters as ITU-T T.35 user data (ATSC A/53 part 4, 6.2.3): another pair with each picture."""
    pair = bytes((0xFC, 0x41 + number % 26, 0x61 + number % 26))
    return b"\xb5\x00\x31GA94\x03" + bytes((0x40 | 1, 0xFF)) + pair + b"\xff"


def hdr10plus(number: int) -> bytes:
    """SMPTE ST 2094-40 in ITU-T T.35: one window, no tone curve, a brightest channel that changes with each picture."""
    bits = "01" + f"{400:027b}" + "0" + f"{1000 + number:017b}" * 3 + f"{500:017b}" + "0000" + f"{0:010b}" + "0" + "0" + "0"
    bits += "0" * (-len(bits) % 8)
    return b"\xb5\x00\x3c\x00\x01\x04\x01" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def _sei(payload: bytes, codec: str) -> bytes:
    """A SEI message user_data_registered_itu_t_t35 (4) as a NAL unit of H.264 or HEVC, with start code."""
    message = bytes((4, len(payload))) + payload + b"\x80"
    escaped, zeros = bytearray(), 0
    for byte in message:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\0\0\0\1" + (b"\x06" if codec == "libx264" else b"\x4e\x01") + bytes(escaped)


def with_sei(path: Path, payload, codec: str = "libx264", frames: int = 6, pix_fmt: str = "yuv420p") -> Path:
    """A film without B-frames, each picture of which has the SEI message `payload(number)` before it."""
    with av.open(str(path), "w") as container:
        options = {"bf": "0", "preset": "ultrafast", "x265-params": "log-level=none:pools=1:bframes=0"}
        stream = container.add_stream(codec, rate=25, options=options if codec == "libx265" else {"bf": "0", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = clips.WIDTH, clips.HEIGHT, pix_fmt
        coded = []
        for number in range(frames):
            picture = clips.picture(number, pix_fmt=pix_fmt)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            coded += stream.encode(picture)
        for number, packet in enumerate(coded + stream.encode(None)):
            made = av.Packet(_sei(payload(number), codec) + bytes(packet))
            made.pts, made.dts, made.time_base, made.stream = packet.pts, packet.dts, packet.time_base, stream
            made.is_keyframe, made.duration = packet.is_keyframe, packet.duration
            container.mux(made)
    return path


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these chunks, each a kind and its data, and the last one, IEND."""
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_profile(path: Path, number: int, grey: bool = False) -> Path:
    """A PNG of picture `number` with `ICC` in an iCCP chunk."""
    luma = clips.gray(number)
    pixels = luma[..., None] if grey else np.stack([luma, luma[::-1], luma // 2], axis=2)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", clips.WIDTH, clips.HEIGHT, 8, 0 if grey else 2, 0, 0, 0)
    profile = b"made\0\0" + zlib.compress(ICC)
    path.write_bytes(png_of((b"IHDR", head), (b"iCCP", profile), (b"IDAT", zlib.compress(rows))))
    return path


def all_round(path: Path, frames: int = 3) -> Path:
    """An mp4 whose pictures are two halves beside each other (st3d) of all around (sv3d: equirectangular): Spherical Video V2."""
    clips.cfr(path, frames)
    data = bytearray(path.read_bytes())
    view = struct.pack(">I4sI", 13, b"svhd", 0) + b"\0"
    projection = struct.pack(">I4sI3i", 24, b"prhd", 0, 0, 0, 0) + struct.pack(">I4s5I", 28, b"equi", 0, 0, 0, 0, 0)
    inner = view + struct.pack(">I4s", 8 + len(projection), b"proj") + projection
    boxes = struct.pack(">I4sIB", 13, b"st3d", 0, 2) + struct.pack(">I4s", 8 + len(inner), b"sv3d") + inner
    assert data.find(b"mdat") < data.find(b"moov"), "the index comes last, so that no place in it moves"

    def put(names: list[bytes], begin: int, end: int) -> None:
        while begin < end:
            size, name = struct.unpack_from(">I4s", data, begin)
            if name == names[0]:
                if names[1:]:
                    put(names[1:], begin + (16 if name == b"stsd" else 8), begin + size)
                else:
                    data[begin + size : begin + size] = boxes
                struct.pack_into(">I", data, begin, size + len(boxes))
                return
            begin += size
        raise ValueError(f"no {names[0]!r} in {path}")

    put([b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"], 0, len(data))
    path.write_bytes(data)
    return path
