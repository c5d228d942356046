"""CAMM, Google's camera motion metadata: positions as short samples of a track of their own, one each, little-endian.

Type 5 is latitude, longitude and altitude; type 6 also time, fix, accuracy and velocity
(developers.google.com/streetview/publish/camm-spec).
"""

from __future__ import annotations

import math
import struct
import time

from streamseg.telemetry.readings import Reading

__all__ = ["looks_like_camm", "read_camm"]

_SIZES = {0: 12, 1: 8, 2: 12, 3: 12, 4: 12, 5: 24, 6: 56, 7: 12}
"""Type of a sample -> bytes of what follows its head."""
_GPS_EPOCH, _LEAP_SECONDS = 315_964_800.0, 18.0
"""1980-01-06 in seconds since 1970, and by how much GPS time is ahead of UTC since 2017 (IERS Bulletin C)."""


def looks_like_camm(payload: bytes) -> bool:
    """Whether a sample of a track is one of CAMM: its type is known, and it is as long as that asks for."""
    if len(payload) < 4:
        return False
    reserved, kind = struct.unpack_from("<HH", payload)
    return reserved == 0 and _SIZES.get(kind) == len(payload) - 4


def read_camm(payload: bytes, at: float) -> list[Reading]:
    """The position of one sample, if it has one. at: seconds of the film."""
    if not looks_like_camm(payload):
        return []
    (kind,) = struct.unpack_from("<2xH", payload)
    if kind == 5:
        latitude, longitude, altitude = struct.unpack_from("<3d", payload, 4)
        return [Reading(latitude, longitude, at, altitude=altitude if altitude != -1 else None)]
    if kind == 6:
        told, fix, latitude, longitude, altitude, across, _, east, north, _, _ = struct.unpack_from("<diddfffffff", payload, 4)
        speed = math.hypot(east, north)
        heading = math.degrees(math.atan2(east, north)) % 360 if speed else None
        return [
            Reading(latitude, longitude, at, _utc(told), altitude, speed, heading, across if across > 0 else None, fix >= 2)
        ]
    return []


def _utc(told: float) -> float | None:
    """Seconds since 1970 of a GPS time; some cameras write UTC there, which would lie years ahead."""
    if not 0 < told < 2**33:
        return None
    utc = told + _GPS_EPOCH - _LEAP_SECONDS
    return utc if utc < time.time() + 7 * 86400 else told
