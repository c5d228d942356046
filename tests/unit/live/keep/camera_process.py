"""A program that records a film as if a camera sent it now, for tests that kill it: FOLDER FILM SECONDS [BYTES]."""

from __future__ import annotations

import resource
import sys
import time

import av

from streamseg.config.live_record import CameraRecord, RecordConfig
from streamseg.live.bus import Bus
from streamseg.live.keep.keeper import Keeper
from streamseg.live.news import Warned


def main(folder: str, film: str, seconds: str, most: str = "") -> None:
    """Print each warning, then how long giving a packet took at most; `most`: bytes that a file may have."""
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
    bus = Bus()
    said = bus.subscribe(Warned)
    keeper = Keeper(RecordConfig(folder=folder, free=0), bus)
    keeper.start()
    feed = keeper.recorder("door", CameraRecord(clips="off", segment=1e9)).feed  # type: ignore[arg-type]
    longest, begin, turn = 0.0, time.monotonic(), 0
    with av.open(film) as container:
        feed.opened(tuple(container.streams))
        packets = [p for p in container.demux() if p.size]
    last = max(float(p.dts * p.time_base) for p in packets) + 0.04
    while time.monotonic() - begin < float(seconds):
        for packet in packets:
            due = begin + turn * last + float(packet.dts * packet.time_base)
            time.sleep(max(0.0, due - time.monotonic()))
            at = time.monotonic()
            feed.packet(packet, at)
            longest = max(longest, time.monotonic() - at)
            while (news := said.get(timeout=0)) is not None:
                print(news.text, flush=True)
        print("turn", flush=True)
        turn += 1
    keeper.stop()
    print(f"longest {longest:.3f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
