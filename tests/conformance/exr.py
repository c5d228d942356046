"""EXR and cut-outs, read by OpenImageIO and the API of Cryptomatte: the person where the network says, and the picture as light."""

from __future__ import annotations

import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cryptomatte_api
import cv2
import numpy as np
import numpy.typing as npt
import OpenImageIO

from tests.conformance.expect import Expected
from tests.conformance.pictures import formula
from tests.conformance.row import Row

__all__ = ["read_cutouts", "read_exr"]

Floats = npt.NDArray[np.float64]
Found = list[tuple[int, npt.NDArray[np.bool_]]]

_PRIMARIES = {1: (0.64, 0.33), 6: (0.63, 0.34), 9: (0.708, 0.292), 12: (0.68, 0.32)}
"""x and y of red, by H.273's number."""
_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def _bt709(v: Floats) -> Floats:
    return np.where(v < 0.08124, v / 4.5, (np.maximum(v, 0) / 1.0993 + 0.0993 / 1.0993) ** (1 / 0.45))


def _srgb(v: Floats) -> Floats:
    return np.where(v <= 0.04045, v / 12.92, ((np.maximum(v, 0) + 0.055) / 1.055) ** 2.4)


def _pq(v: Floats) -> Floats:
    root = np.clip(v, 0, 1) ** (1 / 78.84375)
    return (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125) * 10000 / 203


def _hlg(v: Floats) -> Floats:
    v = np.maximum(v, 0)
    return np.where(v <= 0.5, v * v / 3, (np.exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12) / 0.2650


_LIGHT: dict[int, Callable[[Floats], Floats]] = {13: _srgb, 16: _pq, 18: _hlg}


def read_exr(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    """`path`: the folder."""
    found: Found = []
    wrong: list[str] = []
    begin = 0.0
    for place, file in enumerate(sorted(path.glob("*.exr"))):
        number = int(file.stem)
        header, channels = _read(file)
        begin = header["streamseg/time"] if place == 0 else begin
        wrong += [f"frame {number}: {problem}" for problem in _header(header, row, expected, place, begin)]
        wrong += [f"frame {number}: {problem}" for problem in _colour(channels, row, expected.numbers[place])]
        mattes = {each.metadata().name(): each.masks() for each in cryptomatte_api.Cryptomatte.load(str(file))}
        person = mattes["CryptoClass"].get("person")
        tracks = mattes["CryptoObject"]
        if person is None or len(tracks) != 1:
            wrong.append(f"frame {number}: cryptomattes of {[list(each) for each in mattes.values()]}")
            continue
        (name, track), *_ = tracks.items()
        if np.abs(track - person).max() > 1e-6:
            wrong.append(f"frame {number}: the track's matte is not the class's")
        if np.abs(channels[f"{name.replace('#', '_')}.A"] - person).max() > 1e-3:
            wrong.append(f"frame {number}: the layer's matte is not the class's")
        found.append((number, person > 0.5))
    return found, wrong, {"light~": _mean(path)}


def _read(file: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    image = OpenImageIO.ImageInput.open(str(file))
    spec, pixels = image.spec(), image.read_image("float")
    image.close()
    return {each.name: each.value for each in spec.extra_attribs}, {n: pixels[..., i] for i, n in enumerate(spec.channelnames)}


def _mean(path: Path) -> str:
    mean = float(np.mean([_read(file)[1]["G"].mean() for file in sorted(path.glob("*.exr"))]))
    return f"{mean:.4f}±{max(1e-3, 0.01 * mean):.4f}"


def _header(header: dict[str, Any], row: Row, expected: Expected, place: int, begin: float) -> list[str]:
    clip, wrong = row.clip, []
    shape = clip.sar or Fraction(1)
    shape = 1 / shape if clip.turn % 180 else shape
    if clip.codec != "dv" and abs(header["PixelAspectRatio"] - shape) > 1e-5:
        wrong.append(f"pixels of {header['PixelAspectRatio']}, expected {shape}")
    red = _PRIMARIES.get(clip.colour[2])
    if red is not None and np.abs(np.array(header["chromaticities"][:2]) - red).max() > 1e-5:
        wrong.append(f"red at {header['chromaticities'][:2]}, expected {red}")
    # The header keeps the source's clock, the expectation is another output's: only what lies between can be compared.
    at, wanted = header["streamseg/time"] - begin, float(expected.times[place] - expected.times[0])
    if abs(at - wanted) > float(2 * expected.rounding) + 1e-5:
        wrong.append(f"at {at} s, expected {wanted}")
    if clip.timing == "cfr" and not row.decode.get("rate") and tuple(header["framesPerSecond"]) != clip.rate.as_integer_ratio():
        wrong.append(f"{header['framesPerSecond']} pictures a second, expected {clip.rate}")
    if row.timecode and (label := _label(header["smpte:TimeCode"][0])) != (wanted := _later(row.timecode, place)):
        wrong.append(f"timecode {label}, expected {wanted}")
    return wrong


def _label(bits: int) -> str:
    """SMPTE ST 12-1: digits of four bits each, and a flag for drop-frame."""
    hours, minutes, seconds, frames = (bits >> shift & mask for shift, mask in ((24, 0x3F), (16, 0x7F), (8, 0x7F), (0, 0x3F)))
    return f"{hours:02x}:{minutes:02x}:{seconds:02x}{';' if bits & 0x40 else ':'}{frames:02x}"


def _later(label: str, pictures: int) -> str:
    """Counted one by one, at 30 labels a second."""
    hours, minutes, seconds, frames = (int(part) for part in label.replace(";", ":").split(":"))
    for _ in range(pictures):
        frames += 1
        if frames == 30:
            frames, seconds = 0, seconds + 1
        if seconds == 60:
            seconds, minutes = 0, minutes + 1
            frames = 2 if ";" in label and minutes % 10 else 0
    return f"{hours:02}:{minutes:02}:{seconds:02}{label[8]}{frames:02}"


def _colour(channels: dict[str, npt.NDArray[np.float32]], row: Row, number: int) -> list[str]:
    """Where the source lost nothing: its formula, by the matrix and the transfer, within two codes."""
    clip = row.clip
    if clip.codec not in ("ffv1", "png") or clip.field:
        return []
    bits = next((int(bits) for bits in ("10", "12", "16") if bits in clip.pix_fmt), 8)
    width, height = clip.size
    peak = float((1 << bits) - 1)
    rgb = clip.pix_fmt.startswith(("gbr", "rgb"))
    codes = [formula(name, number, width, height, bits).astype(float) for name in ("RGB" if rgb else "YUV")]
    if rgb:
        signal = np.stack(codes, 2) / peak
    else:
        unit = 1 << (bits - 8)
        full = clip.colour[1] == 2 or clip.pix_fmt == "gray"
        y = codes[0] / peak if full else (codes[0] - 16 * unit) / (219 * unit)
        u, v = (np.zeros_like(y),) * 2
        if clip.pix_fmt != "gray":
            u, v = ((code - 128 * unit) / (peak if full else 224 * unit) for code in codes[1:])
        kr, kb = _WEIGHTS.get(clip.colour[0], _WEIGHTS[1] if max(height, 0) >= 720 else _WEIGHTS[6])
        r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
        signal = np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], 2)
    # Chroma of half the size is enlarged from samples that lie beside those of the formula for all pixels.
    near = 2.5 / (219 * 2 ** (bits - 8)) if rgb or "444" in clip.pix_fmt or clip.pix_fmt == "gray" else 0.012
    light = _LIGHT.get(clip.colour[3], _srgb if rgb or clip.suffix.endswith("/") else _bt709)
    low, high = (light(np.rot90(signal, clip.turn // 90) + step * near) for step in (-1, 1))
    seen = np.stack([channels[letter] for letter in "RGB"], 2).astype(float)
    if seen.shape != low.shape:
        return [f"a picture of {seen.shape}, expected {low.shape}"]
    outside = (seen < low - 1e-3 - 1e-3 * np.abs(low)) | (seen > high + 1e-3 + 1e-3 * np.abs(high))
    inner = outside[2:-2, 2:-2] if min(outside.shape[:2]) > 8 else outside
    return [f"{np.mean(inner):.0%} of the colours are not the formula's"] if inner.mean() > 0.01 else []


def read_cutouts(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    """`path`: the folder with the table."""
    found: Found = []
    with (path / "cutouts.csv").open(newline="") as table:
        lines = list(csv.DictReader(table))
    for line in lines:
        image = cv2.imread(str(path / line["file"]), cv2.IMREAD_UNCHANGED)
        mask = np.zeros((int(line["frame_height"]), int(line["frame_width"])), bool)
        x, y = int(line["x"]), int(line["y"])
        mask[y : y + image.shape[0], x : x + image.shape[1]] = image[..., 3] > np.iinfo(image.dtype).max / 2
        found.append((int(line["frame"]), mask))
    wrong = [f"{line['file']}: {line['class']}" for line in lines if line["class"] != "person"]
    return found, wrong, {}
