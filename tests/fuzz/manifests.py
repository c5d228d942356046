"""Campaign over what describes files that streamseg keeps: the manifests of compiled engines, the notes of a user's models."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import dataclass
from pathlib import Path

from streamseg.engine.manifest import Key, Manifest
from streamseg.engine.store import Store
from streamseg.hub import catalog
from tests import graphs
from tests.fuzz.trees import changed

PLAN = b"a plan that nothing runs" * 20
KEY = Key(
    model="m", height=64, width=96, onnx_sha256="0" * 64, precision="fp32", library="tensorrt-rtx", version="1.4", batches=(1, 4),
    capabilities=("sm_86",), gpu="",
)  # fmt: skip
NOTES = {
    "origin": "model.pth",
    "imported": "2026-11-29T10:00:00+00:00",
    "licence": "Apache-2.0",
    "url": "https://example.org/m.pth",
}


@dataclass
class Case:
    """What stands in the file."""

    data: bytes
    kind: str
    plan: bytes = PLAN


class Manifests:
    """See the module."""

    name, count = "manifests", 5000

    def prepare(self, folder: Path) -> None:
        """A graph to describe."""
        self.graph = graphs.constant_model(folder / "mine-64x96.onnx").read_bytes()

    def make(self, rng: random.Random) -> Case:
        """A manifest or notes, damaged."""
        if rng.random() < 0.3:
            return Case(changed(NOTES, rng), "notes")
        manifest = Manifest(
            key=KEY, plan_sha256=hashlib.sha256(PLAN).hexdigest(), plan_bytes=len(PLAN), built="2026-11-29", seconds=1.5,
            layers={"Conv": {"fp32": 3}},
        )  # fmt: skip
        data = changed(manifest.model_dump(mode="json"), rng)
        return Case(data, "manifest", PLAN if rng.random() < 0.9 else PLAN[: rng.randrange(len(PLAN))])

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / "input.json"
        path.write_bytes(case.data)
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Read it as the commands `engines` and `models` do."""
        return self._engine(case, folder) if case.kind == "manifest" else self._notes(case, folder)

    def _engine(self, case: Case, folder: Path) -> str:
        place = folder / "engines" / KEY.folder
        place.mkdir(parents=True, mode=0o700)
        place.parent.chmod(0o700)
        for name, data in (("manifest.json", case.data), ("plan", case.plan)):
            (place / name).write_bytes(data)
            (place / name).chmod(0o600)
        store = Store(place.parent)
        (entry,) = store.entries()
        store.get(KEY)
        refused = store.problem(entry)
        if refused is None:
            store.read_plan(entry)
            assert entry.manifest is not None
            entry.manifest.key.runs_on("NVIDIA", (8, 6))
        return "refused" if refused else "sound"

    def _notes(self, case: Case, folder: Path) -> str:
        os.environ["STREAMSEG_MODELS"] = str(folder / "models")
        place = folder / "models" / "mine"
        place.mkdir(parents=True)
        (place / "mine.json").write_bytes(case.data)
        (place / "mine-64x96.onnx").write_bytes(self.graph)
        catalog.find("mine").about()
        catalog.resolve("mine", (64, 96))
        return "found"
