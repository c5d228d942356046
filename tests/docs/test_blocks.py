"""Every code block of README.md and docs/ does what a reader who copies it expects: it runs, on stand-ins of the files it names.

The network is one with a known answer, so that a block takes a moment. A camera is played by a file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import streamseg.evaluate.evaluation
import streamseg.pipeline.opening
from streamseg.cli.main import app, main
from streamseg.config import parse_pipeline
from streamseg.core import rle
from streamseg.engine import open_engine
from streamseg.live.config import LiveConfig, load_live
from tests import clips, graphs
from tests.docs.blocks import ROOT, Block, blocks

BLOCKS = list(blocks())
CAMERA = re.compile(r"(rtsps?|rtmp|srt|udp)://.*|\d")
FILMS = ("video.mp4", "dashcam.mp4", "interview.mov", "street.mp4", "film.mp4", "in.mp4")
LONG = {"video.mp4": (36, 4), "interview.mov": (75, 1)}
"""Frames, and frames a second, of those that a page takes a later part of."""
REASONS = re.compile(r"needs (a GPU|a camera|the network|another machine|files of yours)|takes (minutes|hours)|shown by .+")


def of_kind(language: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.language == language]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that finds a person in the middle of everything."""
    path = tmp_path_factory.mktemp("model") / "known.onnx"
    return graphs.constant_model(path, boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.9,), labels=(0,), size=(64, 96))


@pytest.fixture
def there(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the pages name, to be in; `lite` is the network with the known answer."""
    for name in FILMS:
        frames, rate = LONG.get(name, (12, 25))
        clips.cfr(tmp_path / name, frames, rate, audio=name not in LONG)
    (tmp_path / "films").mkdir()
    clips.cfr(tmp_path / "films" / "a.mov", 4)
    (tmp_path / "rig.yaml").write_text("fov: 78\n")
    (tmp_path / "list.txt").write_text("# of Monday\nfilms/a.mov\nfilm.mp4\n")
    for name in ("labels", "held-out", "coco"):
        data_set(tmp_path / name)
    (tmp_path / "coco" / "annotations.json").write_text((tmp_path / "coco" / "instances.json").read_text())
    (tmp_path / "coco" / "val2017").symlink_to(tmp_path / "coco" / "images")
    (tmp_path / "instances.json").write_text((tmp_path / "coco" / "instances.json").read_text())
    mask = rle.encode(np.ones((30, 40), bool), 30, 20, 96, 64)
    found = {"image_id": 1, "category_id": 1, "bbox": [30, 20, 40, 30], "score": 0.9, "segmentation": mask}
    (tmp_path / "results.json").write_text(json.dumps([found]))
    (tmp_path / "mine.onnx").write_bytes(model.read_bytes())
    for name in ("drive", "edit", "live"):
        (tmp_path / f"mine-{name}.yaml").write_text((ROOT / "pipelines" / f"{name}.yaml").read_text())
    monkeypatch.chdir(tmp_path)

    def known(_model: object, **options: Any) -> Any:
        return open_engine(model, **(options | {"size": None, "precision": "auto"}))

    for module in (streamseg.pipeline.opening, streamseg.evaluate.evaluation):
        monkeypatch.setattr(module, "open_engine", known)
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path


def data_set(folder: Path) -> None:
    """A photo of each kind of thing, as COCO has them."""
    (folder / "images").mkdir(parents=True)
    rows, images = [], []
    for number, category in enumerate(graphs.CATEGORY_IDS, 1):
        picture = np.full((64, 96, 3), 60, np.uint8)
        picture[20:50, 30:70] = (40, 200, 120)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 96, "height": 64})
        row = {"id": number, "image_id": number, "category_id": category, "area": 1200, "iscrowd": 0}
        rows.append(row | {"bbox": [30, 20, 40, 30], "segmentation": [[30, 20, 70, 20, 70, 50, 30, 50]]})
    categories = [{"id": i, "name": name} for i, name in zip(graphs.CATEGORY_IDS, graphs.CLASSES, strict=True)]
    (folder / "instances.json").write_text(json.dumps({"categories": categories, "images": images, "annotations": rows}))


def call(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """What the shell would do with a `streamseg` command, a camera played by a file."""
    if len(words) > 1 and words[1] == "run":
        words = [*words[:2], *("street.mp4" if CAMERA.fullmatch(word) else word for word in words[2:])]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_there_are_blocks_and_reasons_are_good_ones() -> None:
    assert len(BLOCKS) > 20
    for block in BLOCKS:
        assert block.why_not is None or REASONS.fullmatch(block.why_not), (
            f"{block}: {block.why_not!r} is not a reason known here"
        )
        if block.language == "text":
            assert not re.search(r"^\s*streamseg ", block.text, re.MULTILINE), f"{block}: commands are not tested there"


@pytest.mark.parametrize("block", of_kind("sh"))
def test_commands_have_the_options_that_they_are_given(block: Block) -> None:
    import typer

    group = typer.main.get_command(app)
    for words in block.commands:
        if words[0].endswith("streamseg"):
            with group.make_context("streamseg", words[1:]) as context:
                resolve(group, context)


def resolve(group: Any, context: Any) -> None:
    """Parse the command, and the verb within a verb, without running it."""
    arguments = [*getattr(context, "_protected_args", []), *context.args]
    if not arguments:
        return
    name, verb, rest = group.resolve_command(context, arguments)
    with verb.make_context(name, rest, parent=context) as inner:
        if hasattr(verb, "resolve_command"):
            resolve(verb, inner)


@pytest.mark.parametrize("block", [p for p in of_kind("sh") if p.values[0].why_not is None])
def test_commands_run_one_after_the_other(block: Block, there: Path, monkeypatch, capfd) -> None:
    for words in block.commands:
        if words[0] == "streamseg":
            assert call(words, monkeypatch) == 0, f"{' '.join(words)}: {capfd.readouterr().err}"


@pytest.mark.parametrize("block", [p for p in of_kind("python") if p.values[0].why_not is None])
def test_python_runs(block: Block, there: Path) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", [p for p in of_kind("yaml") if p.values[0].why_not is None])
def test_yaml_is_a_pipeline_file_or_one_of_cameras(block: Block, tmp_path: Path) -> None:
    if set(yaml.safe_load(block.text)) & set(LiveConfig.model_fields):
        cameras = "" if "cameras" in yaml.safe_load(block.text) else "\ncameras: {door: 0}\n"
        (tmp_path / "cameras.yaml").write_text(block.text + cameras)
        load_live(tmp_path / "cameras.yaml")
    else:
        parse_pipeline(block.text, str(block))


def test_installing_as_the_readme_says(there: Path) -> None:
    """The block with `pip install .`, line by line, in a shell; what it depends on is taken from here instead of from an index."""
    (block,) = [b for b in BLOCKS if b.page.name == "README.md" and "pip install .\n" in b.text]
    source = there / "checkout"
    source.mkdir()
    for name in ("streamseg", "pipelines", "engines", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    (there / "video.mp4").rename(source / "video.mp4")
    packages = next(p for p in sys.path if p.endswith("site-packages"))
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"PYTHONPATH": packages}
    done = subprocess.run(
        ["bash", "-euc", block.text], cwd=source, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(clips.decoded(source / "seen.mp4")) == LONG["video.mp4"][0]
