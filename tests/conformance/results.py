"""Results written as data, read back without streamseg: the right frames, each with the one box that the engine answers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tests.conformance.expect import Expected
from tests.conformance.exr import read_cutouts, read_exr
from tests.conformance.known import box_of
from tests.conformance.observe import digest
from tests.conformance.row import Row
from tests.conformance.run import Outcome, upright

__all__ = ["KINDS", "judge"]

Mask = npt.NDArray[np.bool_]
Found = list[tuple[int, Mask]]
"""(frame's number, mask) of every instance, in the order of the file."""


def judge(row: Row, expected: Expected, outcome: Outcome) -> tuple[list[str], dict[str, str]]:
    """(what is wrong, what the reference holds)."""
    width, height = upright(row)
    found, wrong, more = KINDS[row.out](outcome.path, row, expected)
    numbers = [number for number, _ in found]
    if numbers != expected.numbers:
        wrong.append(f"frames: expected {expected.numbers}, got {numbers}")
    for place, (number, mask) in enumerate(found):
        x0, y0, x1, y1 = box_of(place, width, height)
        sure, never = np.zeros((height, width), bool), np.ones((height, width), bool)
        margin = 1 if x1 - x0 < 200 else 2  # a large mask is round at its corners
        sure[y0 + margin : y1 - margin, x0 + margin : x1 - margin] = True
        never[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = False
        if mask.shape != (height, width):
            wrong.append(f"frame {number}: a mask of {mask.shape}, expected {(height, width)}")
        elif (sure & ~mask).any() or (never & mask).any():
            wrong.append(f"frame {number}: its mask is not the box {(x0, y0, x1, y1)}")
    line = {"frames": str(len(numbers)), "numbers": digest(*numbers), "area~": _areas(found), **more}
    return wrong[:4], line


def _areas(found: Found) -> str:
    mean = sum(int(mask.sum()) for _, mask in found) / max(1, len(found))
    return f"{mean:.1f}±{max(1.0, 0.02 * mean):.1f}"


def decode(rle: dict[str, Any]) -> Mask:
    """A COCO run-length encoding, plain or compressed, as a mask (column by column, background first)."""
    height, width = rle["size"]
    counts = rle["counts"] if isinstance(rle["counts"], list) else _runs(rle["counts"])
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    mask: Mask = flat.reshape(width, height).T
    return mask


def _runs(text: str) -> list[int]:
    """COCO's compressed counts: five bits a character, each from the third on as a difference to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode():
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _jsonl(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    head, *lines = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
    frames, wrong = [line for line in lines if "frame" in line and "event" not in line], []
    width, height = upright(row)
    if (head["width"], head["height"]) != (width, height):
        wrong.append(f"header: {head['width']}x{head['height']}, expected {width}x{height}")
    found: Found = []
    times = [line["time"] for line in frames]
    first = times[0] if times else 0.0
    for place, (line, at) in enumerate(zip(frames, expected.times, strict=False)):
        # JSON keeps the source's clock, the expectation is the output's: only what lies between can be compared.
        if abs(line["time"] - first - float(at - expected.times[0])) > float(2 * expected.rounding) + 1e-6:
            wrong.append(f"frame {line['frame']}: at {line['time']} s")
        if len(line["instances"]) != 1:
            wrong.append(f"frame {line['frame']}: {len(line['instances'])} instances, expected one")
            continue
        item = line["instances"][0]
        if np.abs(np.array(item["box"]) - box_of(place, width, height)).max() > 0.01 or item["class"] != "person":
            wrong.append(f"frame {line['frame']}: {item['class']} at {item['box']}")
        found.append((line["frame"], decode(item["mask"])))
    kept = [(line["frame"], line["pts"], [round(v, 1) for i in line["instances"] for v in i["box"]]) for line in frames]
    return found, wrong, {"lines": digest(*kept), "ids": digest(*(i["track_id"] for f in frames for i in f["instances"]))}


def _coco(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    data = json.loads(path.read_text("utf-8"))
    numbers = {image["id"]: image["id"] - 1 for image in data["images"]}
    people = {c["id"] for c in data["categories"] if c["name"] == "person"}
    wrong = [
        f"annotation {a['id']}: category {a['category_id']}" for a in data["annotations"] if a["category_id"] not in people
    ]
    if len(data["images"]) != len(expected.numbers):
        wrong.append(f"{len(data['images'])} images, expected {len(expected.numbers)}")
    return [(numbers[a["image_id"]], decode(a["segmentation"])) for a in data["annotations"]], wrong, {}


def _mots_text(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    found, wrong = [], []
    for text in path.read_text("utf-8").splitlines():
        frame, _, kind, height, width, counts = text.split()
        wrong += [] if kind == "2" else [f"frame {frame}: class {kind}, expected 2 (person)"]
        found.append((int(frame), decode({"size": [int(height), int(width)], "counts": counts})))
    return found, wrong, {}


def _mots_folder(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    found, wrong = [], []
    for file in sorted(path.rglob("*.png")):
        values = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        wrong += [] if set(np.unique(values)) <= {0, 2000, 2001} else [f"{file.name}: values {np.unique(values)[:4]}"]
        found.append((int(file.stem), np.asarray(values >= 2000)))
    return found, wrong, {}


def _youtube_vis(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    data = json.loads(path.read_text("utf-8"))
    video, found = data["videos"][0], []
    wrong = [] if video["length"] == len(expected.numbers) else [f"length {video['length']}, expected {len(expected.numbers)}"]
    numbers = [int(Path(name).stem) for name in video["file_names"]]
    for place, number in enumerate(numbers):
        shown = [a["segmentations"][place] for a in data["annotations"] if a["segmentations"][place] is not None]
        found += [(number, decode(rle)) for rle in shown]
    return found, wrong, {"tracks": str(len(data["annotations"]))}


def _cvat(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    found, wrong = [], []
    with zipfile.ZipFile(path) as archive:
        if archive.read("default/instances/labels.txt").split()[:1] != [b"person"]:
            wrong.append("labels.txt does not begin with person")
        for name in sorted(n for n in archive.namelist() if n.endswith(".png")):
            number = int(Path(name).stem.removeprefix("frame_"))
            values = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            found.append((number, np.asarray(values // 1000 == 1)))
            if f"default/images/frame_{number:06d}.jpg" not in archive.namelist():
                wrong.append(f"frame {number}: no image")
    return found, wrong, {}


def _kitti(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    """It holds boxes: each is taken for its mask, whose sides are the box's own."""
    found, wrong = [], []
    for text in path.read_text("utf-8").splitlines():
        frame, _, kind, *rest = text.split()
        wrong += [] if kind == "Pedestrian" and len(rest) == 15 else [f"frame {frame}: {kind}, and {len(rest)} values"]
        x0, y0, x1, y1 = (round(float(value)) for value in rest[3:7])
        mask = np.zeros(upright(row)[::-1], bool)
        mask[y0:y1, x0:x1] = True
        found.append((int(frame), mask))
    return found, wrong, {}


def _bdd(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    frames = json.loads(path.read_text("utf-8"))
    wrong = [f"{f['name']}: {n['category']}" for f in frames for n in f["labels"] if n["category"] != "pedestrian"]
    return [(f["frameIndex"], decode(label["rle"])) for f in frames for label in f["labels"]], wrong, {}


def _openlabel(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    data, found = json.loads(path.read_text("utf-8"))["openlabel"], []
    for number, frame in data["frames"].items():
        for each in frame["objects"].values():
            lines = [np.floor(np.reshape(p["val"], (-1, 1, 2))).astype(np.int32) for p in each["object_data"]["poly2d"]]
            filled = cv2.fillPoly(np.zeros(upright(row)[::-1], np.uint8), lines, 1)
            found.append((int(number), filled.astype(bool)))
    wrong = [f"object {uid}: {o['type']}" for uid, o in data["objects"].items() if o["type"] != "person"]
    return found, wrong, {"tracks": str(len(data["objects"]))}


def _parquet(path: Path, row: Row, expected: Expected) -> tuple[Found, list[str], dict[str, str]]:
    import pyarrow.parquet as pq

    found, wrong = [], []
    for told in pq.read_table(path).to_pylist():
        wrong += [] if told["class"] == "person" else [f"frame {told['frame']}: class {told['class']}"]
        found.append((told["frame"], decode({"size": [told["height"], told["width"]], "counts": told["mask"]})))
    return found, wrong, {}


KINDS: dict[str, Callable[[Path, Row, Expected], tuple[Found, list[str], dict[str, str]]]] = {
    "jsonl": _jsonl,
    "coco.json": _coco,
    "mots.txt": _mots_text,
    "mots": _mots_folder,
    "ytvis.json": _youtube_vis,
    "cvat.zip": _cvat,
    "kitti.txt": _kitti,
    "bdd.json": _bdd,
    "openlabel.json": _openlabel,
    "parquet": _parquet,
    "%04d.exr": read_exr,
    "cutouts": read_cutouts,
}
"""By the output's ending: how it is read."""
