"""The colour tags of a picture: matrix, range, primaries and transfer, as numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.pixels.picture import AnyPicture

__all__ = ["ColorTags"]

SPACES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc", 10: "bt2020c",
    14: "ictcp"
}  # fmt: skip
RANGES = {1: "limited", 2: "full"}
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428", 11: "smpte431",
    12: "smpte432", 22: "ebu3213"
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 13: "srgb", 14: "bt2020-10",
    15: "bt2020-12", 16: "pq", 17: "smpte428", 18: "hlg"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColorTags:
    """FFmpeg's numbers (those of ITU-T H.273, but range: 0 unknown, 1 limited, 2 full); 2 means unspecified elsewhere."""

    space: int = 2
    """The matrix between RGB and YUV."""
    range: int = 0
    primaries: int = 2
    transfer: int = 2

    @classmethod
    def of(cls, picture: AnyPicture) -> ColorTags:
        """The tags of a picture."""
        return cls(int(picture.colorspace), int(picture.color_range), int(picture.color_primaries), int(picture.color_trc))

    @property
    def is_hdr(self) -> bool:
        """PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
        return self.transfer in (16, 18)

    @property
    def names(self) -> dict[str, str]:
        """The tags in words; 'unspecified' where unknown."""
        unknown = "unspecified"
        return {
            "space": SPACES.get(self.space, unknown),
            "range": RANGES.get(self.range, unknown),
            "primaries": PRIMARIES.get(self.primaries, unknown),
            "transfer": TRANSFERS.get(self.transfer, unknown),
        }
