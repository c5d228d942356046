"""How long the effects by mask take on a frame of 1080p, on one core: 8 bits 4:2:0 and 10 bits, with 3 and with 20 objects.

python benchmarks/effects.py
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from streamseg.composite import (
    Background,
    Blur,
    Compositor,
    DepthOfField,
    Desaturate,
    Effect,
    Exposure,
    GreenScreen,
    Outline,
    Pixelate,
    Solid,
    Spotlight,
    Tint,
)
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances

WIDTH, HEIGHT = 1920, 1080


def scene(count: int, fmt: str) -> Result:
    """Ellipses of sizes as in a street, over noise."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    picture = av.VideoFrame.from_ndarray(noise, "yuv420p").reformat(threads=1, format=fmt)
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    h = rng.uniform(0.1, 0.45, count) * HEIGHT
    w = h * rng.uniform(0.4, 1.6, count)
    x, y = rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h)
    grid = (np.arange(28) + 0.5) / 28 * 2 - 1
    ellipse = np.clip(2 - 2 * (grid[None] ** 2 + grid[:, None] ** 2), 0, 1)
    instances = Instances(
        np.stack([x, y, x + w, y + h], 1).astype(np.float32),
        np.sort(rng.uniform(0.5, 1, count))[::-1].astype(np.float32),
        np.zeros(count, np.int64),
        np.repeat((255 * ellipse).astype(np.uint8)[None], count, 0),
        ("person",),
        np.arange(1, count + 1),
    )
    return Result(Frame(picture, 0, 0, Fraction(1, 25)), instances)


def film(path: Path) -> Path:
    """A second of 720p at 50 frames a second."""
    rng = np.random.default_rng(2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        still = cv2.resize(rng.integers(0, 255, (45, 80, 3), np.uint8), (1280, 720))
        for _ in range(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(still, "rgb24").reformat(threads=1, format="yuv420p")))
        container.mux(stream.encode())
    return path


def milliseconds(effect: Effect, seen: Result, times: int = 20) -> float:
    """Median of this thread's time a frame, which other work on the machine changes little; frames are 40 ms apart."""
    compositor, taken = Compositor(effect), []
    for n in range(times + 3):
        result = replace(seen, frame=replace(seen.frame, pts=n))
        began = time.thread_time()
        compositor(result)
        taken.append(time.thread_time() - began)
    compositor.close()
    return 1000 * float(np.median(taken[3:]))


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        still, moving = Path(folder) / "a.jpg", film(Path(folder) / "a.mp4")
        cv2.imwrite(str(still), np.full((1000, 1500, 3), 128, np.uint8))
        effects: dict[str, Effect] = {
            "blur": Blur(),
            "blur, strength 0.1": Blur(strength=0.1),
            "pixelate": Pixelate(),
            "pixelate, background": Pixelate("background"),
            "solid": Solid(),
            "desaturate": Desaturate(),
            "tint": Tint(),
            "exposure": Exposure(),
            "exposure, background": Exposure("background"),
            "spotlight": Spotlight(),
            "outline": Outline(),
            "outline, a glow": Outline(width=12, feather=20),
            "greenscreen": GreenScreen(),
            "background, a picture": Background(source=str(still), feather=3),
            "background, a video of 720p": Background(source=str(moving), feather=3),
            "depth_of_field, ground": DepthOfField(),
            "depth_of_field, edge": DepthOfField(falloff="edge"),
        }
        scenes = [scene(3, "yuv420p"), scene(20, "yuv420p"), scene(3, "yuv420p10le")]
        print("| effect | 3 objects | 20 objects | 3 objects, 10 bits |\n|---|---|---|---|")
        for name, effect in effects.items():
            print(f"| {name} | {' | '.join(f'{milliseconds(effect, each):.1f}' for each in scenes)} |", flush=True)


if __name__ == "__main__":
    main()
