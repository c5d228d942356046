"""Films with telemetry in them, and logs beside them, written byte by byte from the formats' descriptions.

A drive is made of its truth: `DRIVE` goes north-east from Görlitz at 10 m/s, a position a second.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from pathlib import Path

from tests import clips

LATITUDE, LONGITUDE, ALTITUDE, SPEED, HEADING = 51.1526, 14.9872, 200.0, 10.0, 45.0
BEGIN = datetime(2024, 5, 17, 14, 30, 0, tzinfo=UTC)
_METERS = math.radians(6_371_008.8)


def place(seconds: float) -> tuple[float, float]:
    """Latitude and longitude at a time of the drive."""
    way = SPEED * seconds * math.sqrt(0.5)
    return LATITUDE + way / _METERS, LONGITUDE + way / (_METERS * math.cos(math.radians(LATITUDE)))


# --- boxes of MP4 -----------------------------------------------------------------------------------------------------------------


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full(kind: bytes, *parts: bytes) -> bytes:
    return box(kind, b"\0\0\0\0", *parts)


def with_track(path: Path, kind: bytes, samples: Sequence[bytes], lasts: Sequence[float], handler: bytes = b"meta") -> Path:
    """A clip of `clips` with a track more, of samples of format `kind`, each for so many seconds."""
    clip = path.with_name("plain-" + path.name)
    clips.cfr(clip, frames=round(25 * sum(lasts)))
    data = clip.read_bytes()
    clip.unlink()
    at = data.index(b"moov") - 4
    assert at + struct.unpack_from(">I", data, at)[0] == len(data)  # it is last, so that nothing before it moves
    payload = box(b"mdat", *samples)
    trak = _trak(kind, [len(s) for s in samples], [round(1000 * s) for s in lasts], at + 8, handler)
    moov = box(b"moov", data[at + 8 :], trak)
    path.write_bytes(data[:at] + payload + moov)
    return path


def _trak(kind: bytes, sizes: list[int], lasts: list[int], begin: int, handler: bytes) -> bytes:
    n, total = len(sizes), sum(lasts)
    offsets = [begin + sum(sizes[:i]) for i in range(n)]
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    tkhd = full(b"tkhd", struct.pack(">IIIII", 0, 0, 9, 0, total), bytes(8), struct.pack(">HHHH", 0, 0, 0, 0), matrix, bytes(8))
    mdhd = full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, total, 0x55C4, 0))
    hdlr = full(b"hdlr", bytes(4), handler, bytes(12), b"telemetry\0")
    dref = full(b"dref", struct.pack(">I", 1), struct.pack(">I4sI", 12, b"url ", 1))
    stsd = full(b"stsd", struct.pack(">I", 1), box(kind, bytes(6), struct.pack(">H", 1), bytes(4) if kind != b"camm" else b""))
    stts = full(b"stts", struct.pack(">I", n), b"".join(struct.pack(">II", 1, last) for last in lasts))
    stsc = full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1))
    stsz = full(b"stsz", struct.pack(">II", 0, n), b"".join(struct.pack(">I", size) for size in sizes))
    stco = full(b"stco", struct.pack(">I", n), b"".join(struct.pack(">I", offset) for offset in offsets))
    stbl = box(b"stbl", stsd, stts, stsc, stsz, stco)
    minf = box(b"minf", full(b"nmhd"), box(b"dinf", dref), stbl)
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))


# --- GoPro ------------------------------------------------------------------------------------------------------------------------


def klv(key: bytes, kind: bytes, size: int, data: bytes) -> bytes:
    return key + kind + struct.pack(">BH", size, len(data) // size) + data + bytes(-len(data) % 4)


def nested(key: bytes, *items: bytes) -> bytes:
    data = b"".join(items)
    return key + b"\0" + struct.pack(">BH", 4, len(data) // 4) + data


def gps5(second: int, count: int = 10, fix: int = 3, dilution: int = 200) -> bytes:
    """A second of a HERO5 to 10: `count` positions."""
    rows = []
    for i in range(count):
        latitude, longitude = place(second + i / count)
        numbers = latitude * 1e7, longitude * 1e7, ALTITUDE * 1e3, SPEED * 1e3, SPEED * 1e2
        rows.append(struct.pack(">5i", *map(round, numbers)))
    utc = f"{BEGIN + timedelta(seconds=second):%y%m%d%H%M%S.000}".encode()
    accl = nested(b"STRM", klv(b"SCAL", b"s", 2, struct.pack(">h", 418)), klv(b"ACCL", b"s", 6, bytes(6 * 200)))
    return nested(
        b"DEVC",
        klv(b"DVID", b"L", 4, struct.pack(">I", 1)),
        klv(b"DVNM", b"c", 1, b"Hero9 Black"),
        accl,
        nested(
            b"STRM",
            klv(b"GPSF", b"L", 4, struct.pack(">I", fix)),
            klv(b"GPSU", b"U", 16, utc),
            klv(b"GPSP", b"S", 2, struct.pack(">H", dilution)),
            klv(b"SCAL", b"l", 4, struct.pack(">5i", 10**7, 10**7, 1000, 1000, 100)),
            klv(b"GPS5", b"l", 20, b"".join(rows)),
        ),
    )


def gps9(second: int, count: int = 10, fix: int = 3) -> bytes:
    """A second of a HERO11 or later."""
    rows = []
    for i in range(count):
        latitude, longitude = place(second + i / count)
        since = BEGIN + timedelta(seconds=second + i / count) - datetime(2000, 1, 1, tzinfo=UTC)
        numbers = latitude * 1e7, longitude * 1e7, ALTITUDE * 1e3, SPEED * 1e3, SPEED * 1e2, since.days
        more = round((since.seconds + since.microseconds / 1e6) * 1e3), 150, fix
        rows.append(struct.pack(">7i2H", *map(round, numbers), *more))
    scales = struct.pack(">9i", 10**7, 10**7, 1000, 1000, 100, 1, 1000, 100, 1)
    stream = nested(
        b"STRM", klv(b"TYPE", b"c", 1, b"lllllllSS"), klv(b"SCAL", b"l", 4, scales), klv(b"GPS9", b"?", 32, b"".join(rows))
    )
    return nested(b"DEVC", klv(b"DVNM", b"c", 1, b"Hero11 Black"), stream)


def gopro(path: Path, seconds: int = 3, payload=gps5) -> Path:
    return with_track(path, b"gpmd", [payload(second) for second in range(seconds)], [1.0] * seconds)


# --- CAMM -------------------------------------------------------------------------------------------------------------------------


def camm6(second: float, fix: int = 3) -> bytes:
    latitude, longitude = place(second)
    side = SPEED * math.sqrt(0.5)
    gps_time = (BEGIN + timedelta(seconds=second)).timestamp() - 315_964_800 + 18
    return struct.pack("<HHdiddfffffff", 0, 6, gps_time, fix, latitude, longitude, ALTITUDE, 2.5, 4, side, side, 0, 0.1)


def camm5(second: float) -> bytes:
    return struct.pack("<HH3d", 0, 5, *place(second), ALTITUDE)


def camm(path: Path, seconds: int = 3, payload=camm6) -> Path:
    """A position a second, and a sample of the gyroscope between."""
    gyro = struct.pack("<HH3f", 0, 2, 0, 0, 0.1)
    samples = [sample for second in range(seconds) for sample in (payload(second), gyro)]
    return with_track(path, b"camm", samples, [0.5] * len(samples), b"camm")


# --- NMEA -------------------------------------------------------------------------------------------------------------------------


def sentence(text: str) -> str:
    return f"${text}*{reduce(xor, text.encode()):02X}"


def dm(degrees: float, width: int, sides: str) -> str:
    side, degrees = sides[degrees < 0], abs(degrees)
    whole = int(degrees)
    return f"{whole:0{width}d}{(degrees - whole) * 60:08.5f},{side}"


def rmc(second: float, begin: datetime = BEGIN, status: str = "A", latitude: float | None = None) -> str:
    y, x = place(second)
    time = begin + timedelta(seconds=second)
    where = f"{dm(y if latitude is None else latitude, 2, 'NS')},{dm(x, 3, 'EW')}"
    return sentence(f"GPRMC,{time:%H%M%S}.00,{status},{where},{SPEED * 3600 / 1852:.3f},{HEADING:.1f},{time:%d%m%y},,,A")


def gga(second: float, begin: datetime = BEGIN, quality: int = 1) -> str:
    y, x = place(second)
    time = begin + timedelta(seconds=second)
    return sentence(f"GPGGA,{time:%H%M%S}.00,{dm(y, 2, 'NS')},{dm(x, 3, 'EW')},{quality},08,0.9,{ALTITUDE:.1f},M,45.0,M,,")


def nmea(seconds: Iterable[float], begin: datetime = BEGIN) -> str:
    return "\r\n".join(f"{rmc(s, begin)}\r\n{gga(s, begin)}" for s in seconds) + "\r\n"


def blackvue(path: Path, seconds: int = 3) -> Path:
    """The box `free` of a BlackVue with a box `gps ` in it; in front of each sentence the recorder's clock, an hour ahead."""
    clips.cfr(path, frames=25 * seconds)
    stamp = round(BEGIN.timestamp() * 1000) + 3_600_000
    text = "".join(f"[{stamp + 1000 * s}]{rmc(s)}\r\n[{stamp + 1000 * s + 40}]{gga(s)}\r\n" for s in range(seconds))
    data = path.read_bytes().replace(b"free", b"skip", 1)
    path.write_bytes(data + box(b"free", box(b"cprt", b" Pittasoft;DR900S;1.008;"), box(b"gps ", text.encode())))
    return path


def novatek(path: Path, seconds: int = 3) -> Path:
    """A Viofo: blocks among the pictures, a table of them in `moov`."""
    clips.cfr(path, frames=25 * seconds)
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    blocks, table = b"", b""
    for second in range(seconds):
        latitude, longitude = place(second)
        time = BEGIN + timedelta(seconds=second)
        numbers = struct.pack("<6I", time.hour, time.minute, time.second, time.year - 2000, time.month, time.day)
        coded = [100 * int(v) + (v - int(v)) * 60 for v in (latitude, longitude)]
        body = bytes(36) + numbers + b"ANE\0" + struct.pack("<4f", *coded, SPEED * 3600 / 1852, HEADING)
        block = box(b"free", b"GPS ", body.ljust(500, b"\0"))
        table += struct.pack(">II", at + len(blocks), len(block))
        blocks += block
    moov = box(b"moov", data[at + 8 :], box(b"gps ", struct.pack(">II", 0x101, seconds), table))
    path.write_bytes(data[:at] + blocks + moov)
    return path


def gpx(seconds: Iterable[float], begin: datetime = BEGIN, extensions: bool = False) -> str:
    more = (
        "<extensions><gpxtpx:TrackPointExtension xmlns:gpxtpx='http://www.garmin.com/xmlschemas/TrackPointExtension/v2'>"
        f"<gpxtpx:speed>{SPEED}</gpxtpx:speed><gpxtpx:course>{HEADING}</gpxtpx:course>"
        "</gpxtpx:TrackPointExtension></extensions>"
        if extensions
        else ""
    )
    points = ""
    for s in seconds:
        latitude, longitude = place(s)
        time = (begin + timedelta(seconds=s)).isoformat().replace("+00:00", "Z")
        points += f"<trkpt lat='{latitude}' lon='{longitude}'><ele>{ALTITUDE}</ele><time>{time}</time>{more}</trkpt>"
    head = "<?xml version='1.0'?><gpx version='1.1' creator='test' xmlns='http://www.topografix.com/GPX/1/1'>"
    return f"{head}<trk><trkseg>{points}</trkseg></trk></gpx>"


def srt(seconds: int) -> str:
    cues = []
    for s in range(seconds):
        latitude, longitude = place(s)
        where = f"[latitude: {latitude}] [longitude: {longitude}] [rel_alt: 1.300 abs_alt: {ALTITUDE}]"
        cues.append(f"{s + 1}\n00:00:{s:02},000 --> 00:00:{s + 1:02},000\n[iso: 100] {where}\n")
    return "\n".join(cues)
