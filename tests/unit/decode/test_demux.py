"""Packets as they come, but for what no source can mean."""

from fractions import Fraction
from itertools import pairwise

import av
import pytest

from streamseg.decode import Decoder
from streamseg.decode.demux import demux
from tests import clips


class Late:
    """A container as PyAV shows it when a stream appears late: after its packets it looks for one that it does not know."""

    def __init__(self, container):
        self.container = container

    def demux(self, *streams):
        yield from self.container.demux(*streams)
        raise IndexError("list index out of range")


def test_a_stream_that_appears_late_ends_nothing_early(tmp_path):
    """Found by make fuzz in a damaged FLV: IndexError left the package."""
    with av.open(str(clips.cfr(tmp_path / "in.mp4", 12, audio=True))) as container:
        kinds = [p.stream.type for p in demux(Late(container)) if p.size]
    assert kinds.count("video") == 12
    assert kinds.count("audio") == len(clips.packets(tmp_path / "in.mp4"))


@pytest.mark.parametrize("ticks", [2**62, -(2**62), 2**63 - 1, 10**15])
def test_a_time_that_no_clock_shows_is_none(tmp_path, ticks):
    """OverflowError in the middle of a file before."""
    source = clips.cfr(tmp_path / "in.mkv", 12)
    with av.open(str(source)) as container:

        class Odd:
            def demux(self, *streams):
                for number, packet in enumerate(container.demux(*streams)):
                    if number == 5:
                        packet.pts, packet.duration = ticks, abs(ticks)
                    yield packet

        packets = [p for p in demux(Odd()) if p.size]
    assert [p.pts for p in packets] == [None if i == 5 else 40 * i for i in range(12)]
    assert packets[5].duration == 0


def test_a_damaged_time_costs_no_picture(tmp_path):
    """The same with the whole decoder: the 6th picture of an IVF file says that it is shown in 10 million years."""
    source = tmp_path / "in.ivf"
    clips.cfr(source, 12, video=clips.Video(codec="libvpx", options={"deadline": "realtime"}))
    data = bytearray(source.read_bytes())
    at = 32
    for _ in range(5):
        at += 12 + int.from_bytes(data[at : at + 4], "little")
    data[at + 4 : at + 12] = (2**62 + 7).to_bytes(8, "little")
    source.write_bytes(data)
    with Decoder(source) as decoder:
        frames = list(decoder.frames())
    assert len(frames) == 12
    assert all(b.pts > a.pts for a, b in pairwise(frames))
    assert max(f.pts * f.time_base for f in frames) < Fraction(1)
