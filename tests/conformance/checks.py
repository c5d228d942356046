"""What the output of a row must be, by its source: pictures and their times, size, tags. Checks give sentences of what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.conformance import other_streams, pixels
from tests.conformance.expect import Expected, expected
from tests.conformance.observe import Seen, field_order
from tests.conformance.row import Row
from tests.conformance.run import Outcome, upright

__all__ = ["Case", "problems"]

_NAMES = ("matrix", "range", "primaries", "transfer")


@dataclass(frozen=True)
class Case:
    """A row that was run."""

    row: Row
    source: Seen
    made: Seen
    outcome: Outcome
    expected: Expected

    @classmethod
    def of(cls, row: Row, source: Seen, made: Seen, outcome: Outcome) -> Case:
        """With what is to be expected."""
        return cls(row, source, made, outcome, expected(row, source))

    @property
    def shift(self) -> Fraction:
        """Seconds by which all of the output may stand later than the source.

        A transport stream's clock begins anywhere; AVI has none, and with B-frames what is read from it begins anywhere, too.
        Matroska holds nothing before zero: where the source's sound has a lead-in there, all of the film may move by that.
        """
        if not self.made.pictures:
            return Fraction(0)
        moved = (self.made.times()[0] or Fraction(0)) - self.expected.times[0]
        lead = -min([Fraction(0), *(track.begin for track in self.source.of("audio"))])
        anywhere = self.made.container in ("mpegts", "avi") or (self.source.container == "avi" and self.row.clip.b > 0)
        led = "matroska" in self.made.container and lead and abs(moved - lead) <= self.made.tick
        return moved if anywhere or led else Fraction(0)


def problems(case: Case) -> list[str]:
    """Everything in which a video is not what its source asks for."""
    wrong = _frames(case)
    if not wrong:
        wrong += _times(case) + pixels.problems(case)
    wrong += _end(case) + _shape(case) + _tags(case) + other_streams.problems(case)
    if case.row.says and not any(case.row.says in sentence for sentence in case.outcome.warnings):
        wrong.append(f"nothing says {case.row.says!r}: {list(case.outcome.warnings)}")
    return wrong


def _frames(case: Case) -> list[str]:
    wanted, got = len(case.expected.numbers), len(case.made.pictures)
    return [f"pictures: expected {wanted}, got {got} ({case.outcome.frames} went through)"] if wanted != got else []


def _times(case: Case) -> list[str]:
    """Every picture at its time, up to half a tick of either container."""
    if "times" in case.row.loses or case.made.container == "images":
        return []
    allowed = case.expected.rounding + case.made.tick / 2
    if case.expected.rounding == 0 or case.source.tick == case.made.tick:
        allowed = max(case.expected.rounding, case.made.tick / 2)
    wrong = []
    for place, (wanted, got) in enumerate(zip(case.expected.times, case.made.times(), strict=True)):
        if got is None or abs(got - case.shift - wanted) > allowed:
            shown = "none" if got is None else f"{float(got):.4f}"
            wrong.append(f"time of picture {place}: expected {float(wanted):.4f}, got {shown} (allowed {float(allowed):.4f})")
    return wrong[:3] + ([f"... {len(wrong)} times in all"] if len(wrong) > 3 else [])


def _end(case: Case) -> list[str]:
    """The last picture stands for its time: to the source's end, give or take one nominal picture where nothing says it."""
    if "end" in case.row.loses or not case.made.pictures or case.made.container == "images":
        return []
    begin = case.made.times()[0] or Fraction(0)
    wanted, allowed = case.expected.seconds, 1 / case.row.clip.rate + Fraction(1, 500)
    got = case.made.end - begin
    wrong = []
    if abs(got - wanted) > allowed:
        wrong.append(f"the pictures last {float(got):.3f} s, expected {float(wanted):.3f}")
    if case.row.clip.audio:
        allowed += Fraction(1, 10)  # the last packet's length may be known to the container alone
    longest = max([case.made.end, *(t + d for track in case.made.tracks for t, d, _ in track.packets if t is not None)])
    if case.made.seconds is not None and case.made.seconds > longest + allowed:
        wrong.append(f"the file says it lasts {float(case.made.seconds):.3f} s, its last packet ends at {float(longest):.3f}")
    return wrong


def _shape(case: Case) -> list[str]:
    row, first = case.row, case.made.pictures[0] if case.made.pictures else None
    if first is None:
        return []
    wrong, size = [], upright(row)
    padded = tuple(-(-side // 2) * 2 for side in size)
    if (first.width, first.height) != size and (case.made.codec == "ffv1" or (first.width, first.height) != padded):
        wrong.append(f"size: expected {size}, got {(first.width, first.height)}")
    if first.rotation:
        wrong.append(f"still tagged to be turned by {first.rotation}")
    wanted_sar = row.clip.sar or case.source.sar
    if wanted_sar and row.clip.turn % 180:
        wanted_sar = 1 / wanted_sar
    if "sar" not in row.loses and (case.made.sar or 1) != (wanted_sar or 1):
        wrong.append(f"shape of a pixel: expected {wanted_sar or 1}, got {case.made.sar}")
    order = field_order(first)
    if order != (row.field or row.clip.field or "progressive"):
        wrong.append(f"fields: expected {row.field or row.clip.field or 'progressive'}, got {order}")
    if row.pix_fmt and first.pix_fmt != row.pix_fmt:
        wrong.append(f"format: expected {row.pix_fmt}, got {first.pix_fmt}")
    return wrong


def _tags(case: Case) -> list[str]:
    row, wrong = case.row, []
    if case.made.pictures and "colour" not in row.loses and case.made.container != "images":
        wrong += _colour(case)
    if "tags" not in row.loses:
        for key, value in row.clip.tags:
            got_value = {k.lower(): v for k, v in case.made.tags.items()}.get(key.lower())
            if got_value != value:
                wrong.append(f"tag {key}: expected {value!r}, got {got_value!r}")
    if row.timecode and case.made.timecode != row.timecode:
        wrong.append(f"timecode: expected {row.timecode}, got {case.made.timecode}")
    if row.clip.side == "hdr10" and "side" not in row.loses:
        for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
            if kind not in case.made.side:
                wrong.append(f"{kind} is lost")
    return wrong


def _colour(case: Case) -> list[str]:
    """The tags of the source. What has none may get those that libav assumes: grey is of full range, RGB made YUV says how."""
    before, after = case.source.pictures[0], case.made.pictures[0]
    wrong = []
    for name, wanted, got in zip(_NAMES, before.colour, after.colour, strict=True):
        converted = "R" in before.parts and "R" not in after.parts and name in ("matrix", "range")
        if name == "range" and case.row.effect.startswith("matte"):
            continue  # a matte is of full range whatever the film is
        limited = {wanted, got} == {0, 1}
        assumed = (name == "range" and (limited or (wanted == 0 and len(before.parts) <= 2))) or (
            name == "matrix" and wanted == 2 and got == 6 and case.made.codec == "prores"
        )
        if converted and got in (0, 2) and name == "matrix":
            wrong.append("RGB became YUV, and nothing says by which matrix")
        elif not converted and wanted != got and not assumed and not ("R" in after.parts and name in ("matrix", "range")):
            wrong.append(f"{name}: expected {wanted}, got {got}")
    return wrong
