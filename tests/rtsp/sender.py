"""Sends a moving picture, played at its own speed, to an address by libav: run as a process of its own, so that it can be killed.

    python tests/rtsp/sender.py udp://127.0.0.1:5000 mpegts '{"pkt_size": "1316"}'

`-` writes to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from fractions import Fraction

import av
import numpy as np

RATE, SECONDS = 25, 30


def main(url: str, form: str, options: dict[str, str], codec: str = "libx264") -> None:
    with av.open(sys.stdout.buffer if url == "-" else url, "w", format=form, container_options=options) as container:
        stream = container.add_stream(codec, rate=RATE, width=320, height=240)
        if codec == "libx264":
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
            stream.codec_context.gop_size = 10
        else:
            stream.pix_fmt = "yuvj420p"
            stream.codec_context.color_range = 2
        begin = time.monotonic()
        for number in range(RATE * SECONDS):
            rgb = np.full((240, 320, 3), 40, np.uint8)
            rgb[100:140, 4 * (number % 70) : 4 * (number % 70) + 40] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=stream.pix_fmt, threads=1)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
            time.sleep(max(0.0, begin + number / RATE - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}, *sys.argv[4:])
