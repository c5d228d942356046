"""Campaign over pipeline files and recipes: sound ones damaged as text or as trees, read, and their stages built."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from streamseg.config import load_pipeline, override
from streamseg.detect.heads.mask_rcnn import declared
from streamseg.engine import GraphSpec
from streamseg.engine.recipe import load_recipe
from streamseg.pipeline.outputs import plan
from streamseg.pipeline.stages import STAGES, Context, check, make
from tests.fuzz.damage import damaged

ROOT = Path(__file__).parents[2]
CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
SPEC = GraphSpec(
    "fuzz", 320, 576, 1, declared(2, 28, 1), CLASSES, tuple(range(1, 9)), "fp32", 0.05, Path("fuzz.onnx"), "0" * 64
)
FULL = """
decode: {policy: auto, realtime: false, start: 0s, duration: 10s, rate: 25, timeout: 5s, reconnect: 30s, max_pixels: 67108864,
    threads: 0}
preprocess: {size: 320x576}
infer: {model: lite, engine: auto, require_gpu: false, batch: 1, in_flight: 2, threads: 0, precision: auto, every: 1}
postprocess: {conf: 0.5, classes: [person, car], head: auto}
stages: []
track: {max_age: 1s, low: 0.1, confirm: 0.1s, reidentify: 3s}
smooth: {masks: 80ms, edges: true}
events:
  confirm: 0.3s
  lines: {gate: [[0.1, 0.8], [0.9, 0.8]], door: {points: [[10, 20], [300, 40]], classes: [person]}}
  zones: {yard: {points: [[0.2, 0.2], [0.8, 0.2], [0.5, 0.9]], classes: person, dwell: 10s}}
outputs:
  picture:
    path: "{out}"
    composite: [overlay: {fill: 0.4, contour: 2, box: true, label: "{name} {id} {score:.0%}", classes: person}, zones: {},
    counts: {}]
    encode: {codec: auto, crf: 20}
  soft: {path: "{stem}-soft.mov", composite: [blur: {strength: 0.5, feather: 4, where: background}, pixelate: {}, alpha: {},
  matte: {}]}
"""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1e308, -1e-308, float("nan"), float("inf"), 2**31, 2**63, 10**400, "", " ", "auto", "off",
    "none", "all",
    "1:2:3", "1h", "9" * 400, "9" * 5000, "9" * 400 + "s", "1e999", "1e-400", "320x0", "0x0", "9999999x9999999", "-3s", "{",
    "{}", "{0}", "{name.x}",
    "{name!r:>99999999}", "{score:.99999999999}", "{score:9999999.3f}", "{id[0]}", "%06d", "a\0b", "é", "\u202e", "../x", "/",
    "NaN", ".inf", [], {}, [[]],
    [1], [0.5, 0.5], [[0.1, 0.1], [0.1, 0.1]], [[1e300, 1], [2, 3], [3, 1e300]], {"points": []}, {"a": 1}, ["person"],
    ["unicorn"], ["person", 1], [None],
    {"x": [[0, 0], [1, 1]]}, {"é": {}}, {1: 2}, {None: None}, {True: 1}, b"\xff", "2026-01-01", ["overlay"],
    [{"overlay": None}], [{"blur": {"classes": 3}}], "use", {"use": "streamseg.composite:Blur"}, {"use": None}, {"use": 3}, "a:b",
    [{"use": "x:y"}], [{"track": {}}], {"after": 3},
)  # fmt: skip


@dataclass
class Case:
    """A file's bytes, and what it is read as."""

    data: bytes
    kind: str


class Pipelines:
    """See the module."""

    name, count = "pipelines", 20_000

    def prepare(self, folder: Path) -> None:
        """Read the sound files."""
        shipped = [path.read_bytes() for path in sorted((ROOT / "pipelines").glob("*.yaml"))]
        self.pipelines = [FULL.encode(), FULL.encode(), *shipped]
        self.recipes = [path.read_bytes() for path in sorted((ROOT / "engines").glob("*.yaml"))]

    def make(self, rng: random.Random) -> Case:
        """A damaged file: half of them are still YAML."""
        kind = rng.choice(("pipeline",) * 9 + ("recipe",))
        texts = self.pipelines if kind == "pipeline" else self.recipes
        data = rng.choice(texts)
        if rng.random() < 0.35:
            return Case(damaged(data, rng, texts), kind)
        if rng.random() < 0.1:
            return Case(_nested(rng), kind)
        tree = yaml.safe_load(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            _change(tree, rng)
        text = yaml.dump(tree, allow_unicode=True, sort_keys=False, default_flow_style=rng.choice((True, False, None)))
        return Case(text.encode("utf-8", "surrogatepass"), kind)

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / "input.yaml"
        path.write_bytes(case.data)
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Read it, and build what it asks for, as a run does before it opens anything."""
        path = self.save(case, folder)
        if case.kind == "recipe":
            load_recipe(str(path))
            return "recipe"
        config = load_pipeline(path)
        config = override(config, {"decode": {"start": 1.0}, "infer": {"every": 2}})
        check(config, SPEC)
        context = Context(config, SPEC)
        make([step for step in STAGES if step.name != "infer"], "trunk", context)
        for target in plan(config.outputs, [str(folder / "out.mp4"), str(folder / "out.jsonl")]):
            make(STAGES, "output", replace(context, output=target))
        return "read"


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value within."""
    found = []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        found += [(tree, key), *_places(value)]
    return found


def _change(tree: Any, rng: random.Random) -> None:
    places = _places(tree)
    if not places:
        return
    container, key = rng.choice(places)
    way = rng.randrange(5)
    if way <= 2:
        container[key] = copy.deepcopy(rng.choice(VALUES))
    elif way == 3:
        del container[key]
    elif isinstance(container, dict):
        other = rng.choice(VALUES)
        container[other if isinstance(other, (str, int, float, type(None))) else "more"] = container.pop(key)
    else:
        container.insert(key, copy.deepcopy(rng.choice(places)[0]))


def _nested(rng: random.Random) -> bytes:
    """Deep, wide or self-referring documents."""
    n = rng.choice((100, 1000, 20000))
    return rng.choice(
        (
            b"[" * n,
            b"{a: " * n,
            b"- " * n,
            b"a: &a [" + b"*a, " * (n // 10) + b"]",
            b"a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
            b"? " * n,
            b"!!python/object:os.system x",
            b"!" * n,
            b"outputs: {" + b", ".join(b"o%d: {}" % i for i in range(n // 10)) + b"}",
            b"'" + b"a" * n,
            b"\xff\xfe" + "a: 1".encode("utf-16-le"),
            b"%YAML 9.9\n---\na: 1",
            b"---\na: 1\n---\nb: 2",
            b"<<: [" * n,
            b"decode: {<<: {policy: block}, start: 1}",
        )
    )
