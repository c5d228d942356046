"""H.264 as others want it: NAL units, the codec string of browsers, the record that MP4 keeps of the parameter sets.

ITU-T H.264 annex B (start codes) and 7.4.1 (NAL units); ISO/IEC 14496-15, 5.3.3 (the record `avcC`); RFC 6381, 3.3 (`avc1.PPCCLL`).
"""

from __future__ import annotations

__all__ = ["avcc", "codec_string", "length_prefixed", "nal_units", "parameter_sets"]

_SPS, _PPS, _DELIMITER, _FILLER = 7, 8, 9, 12
_APART = frozenset({_SPS, _PPS, _DELIMITER, _FILLER})
"""What MP4 keeps elsewhere, or has no use for."""
_HIGH = frozenset({100, 110, 122, 144})
"""Profiles of which the record also tells chroma and depth."""


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of a stream with start codes, without these."""
    # None ends with a zero byte: what is there belongs to the next start code.
    return [unit for part in data.split(b"\0\0\1") if (unit := part.rstrip(b"\0"))]


def parameter_sets(units: list[bytes]) -> tuple[bytes, bytes] | None:
    """The first sequence and picture parameter sets; None where one of them is missing."""
    sps = next((unit for unit in units if unit[0] & 31 == _SPS), None)
    pps = next((unit for unit in units if unit[0] & 31 == _PPS), None)
    return None if sps is None or pps is None else (sps, pps)


def codec_string(sps: bytes) -> str:
    """What browsers call it: profile, constraints and level as the stream itself says them."""
    return f"avc1.{sps[1:4].hex()}"


def avcc(sps: bytes, pps: bytes) -> bytes:
    """The record AVCDecoderConfigurationRecord, for 8 bit 4:2:0 with lengths of four bytes."""
    record = bytes([1, *sps[1:4], 0xFF, 0xE1]) + len(sps).to_bytes(2) + sps + b"\1" + len(pps).to_bytes(2) + pps
    return record + (bytes([0xFD, 0xF8, 0xF8, 0]) if sps[1] in _HIGH else b"")


def length_prefixed(units: list[bytes]) -> bytes:
    """The NAL units of one picture as MP4 stores them: each behind its length, without the parameter sets."""
    return b"".join(len(unit).to_bytes(4) + unit for unit in units if unit[0] & 31 not in _APART)
