"""`streamseg train` as a user meets it: a run, an interrupt, a kill, going on, bad data, bad options."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs extra `train`")

from streamseg.cli.main import app
from streamseg.errors import ConfigError, OutputExists, SourceNotFound
from streamseg.networks.build import NETWORKS

FAST = ["--size", "64x96", "--batch", "1", "--workers", "0", "--warmup", "1", "--threads", "1", "--random"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two photos with a car each, in a folder as Label Studio and CVAT export it, and two faults."""
    folder = tmp_path / "labels"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, rows = [], []
    for i in (1, 2):
        picture = rng.integers(0, 90, (64, 96, 3), dtype=np.uint8)
        picture[20:50, 30:70] = (40, 200, 120)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), picture)
        images.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 64})
        polygon = [30, 20, 70, 20, 70, 50, 30, 50]
        rows.append({"id": i, "image_id": i, "category_id": 3, "bbox": [30, 20, 40, 30], "segmentation": [polygon]})
    images.append({"id": 3, "file_name": "gone.png", "width": 96, "height": 64})
    rows.append({"id": 9, "image_id": 1, "category_id": 3, "bbox": [5, 5, 0, 4]})
    path = folder / "instances.json"
    path.write_text(json.dumps({"categories": [{"id": 3, "name": "car"}], "images": images, "annotations": rows}))
    return path


def command(data: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "streamseg", "train", "--data", str(data), "--out", str(out), *FAST, *more]


def wait_for(there: Callable[[], bool]) -> None:
    limit = time.monotonic() + 90
    while not there():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_an_interrupted_run_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoint.pt"

    def press_ctrl_c() -> None:
        wait_for(checkpoint.exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press_ctrl_c)
    thread.start()
    options = ["--steps", "500", "--save-every", "0.001"]
    result = CliRunner().invoke(app, command(data, tmp_path / "run", *options)[3:])
    thread.join()
    assert (result.exit_code, result.stdout) == (130, "")
    assert "go on with the same command and --resume" in result.stderr
    assert checkpoint.is_file()


@pytest.mark.timeout(240)  # a new interpreter with torch, on a machine that may be busy
def test_a_killed_run_goes_on_from_its_last_checkpoint(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    checkpoint = out / "checkpoint.pt"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    long = command(data, out, "--steps", "500", "--save-every", "0.001")
    run = subprocess.Popen(long, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    try:
        wait_for(lambda: checkpoint.exists() or run.poll() is not None)
        first = checkpoint.stat().st_mtime_ns
        wait_for(lambda: checkpoint.stat().st_mtime_ns > first or run.poll() is not None)
        assert run.poll() is None
    finally:
        run.kill()
        run.communicate()
    result = CliRunner().invoke(app, command(data, out, "--epochs", "4", "--resume")[3:])
    assert result.exit_code == 0, result.output
    assert "is now 4.0: the run goes on" in result.stderr
    assert result.stdout == f"{out / 'model.safetensors'}\n"
    rows = list(csv.DictReader((out / "losses.csv").read_text().splitlines()))
    assert int(rows[-1]["step"]) == 8, "4 epochs of 2 photos"


def test_the_data_are_shown_with_what_is_wrong(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = CliRunner().invoke(app, command(data, out, "--steps", "1", "--val", str(data), "--eval-size", "64x96")[3:])
    assert result.exit_code == 0, result.output
    words = " ".join(result.stderr.split())
    assert "2 photos" in words
    assert "faults in the data: 2" in words
    assert "gone.png" in words
    assert "annotation 9" in words
    assert "lite: starts from random weights" in words
    assert "box AP" in words
    assert (out / "predictions" / "000001.png").is_file()
    assert result.stdout.strip().endswith("best.safetensors")
    again = CliRunner().invoke(app, command(data, out, "--steps", "1")[3:])
    assert isinstance(again.exception, OutputExists)
    refused = CliRunner().invoke(app, command(data, tmp_path / "other", "--steps", "1", "--bad-data", "refuse")[3:])
    assert isinstance(refused.exception, ConfigError)
    assert "gone.png" in str(refused.exception)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ([], ConfigError, "one of steps, minutes and epochs"),
        (["--steps", "1", "--size", "large"], ConfigError, "write HEIGHTxWIDTH"),
        (["--steps", "1", "--scale", "huge"], ConfigError, "write LOW:HIGH"),
        (["--steps", "1", "--weight", "loss_mask"], ConfigError, "write NAME=NUMBER"),
        (["--steps", "1", "--share", "nobody=0.5"], ConfigError, "no photo has source"),
        (["--steps", "1", "--eval-every", "often"], ConfigError, "steps as 500, minutes as 10m"),
        (["--steps", "1", "--classes", "cat"], ConfigError, "no class cat; there are: car"),
        (["--steps", "1", "--bad-data", "fix"], ConfigError, "allowed: skip, refuse"),
        (["--steps", "1", "--val", "nowhere.json"], SourceNotFound, "nowhere.json"),
    ],
)
def test_bad_options_are_answered_with_what_is_allowed(
    data: Path, tmp_path: Path, options: list[str], error: type[Exception], said: str
) -> None:
    result = CliRunner().invoke(app, command(data, tmp_path / "run", *options)[3:])
    assert isinstance(result.exception, error)
    assert said in str(result.exception)


def test_options_may_stand_in_a_file(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    file = tmp_path / "mine.yaml"
    lines = [f"data: {data}", f"out: {out}", "steps: 5", "lr: 2e-4", "size: [64x96, 96x64]", "classes: [car]", "save-every: 60"]
    file.write_text("\n".join(lines))
    result = CliRunner().invoke(
        app, ["train", "--config", str(file), "--workers", "0", "--batch", "1", "--random", "--steps", "1"]
    )
    assert result.exit_code == 0, result.output
    made = json.loads((out / "settings.json").read_text())
    assert (made["steps"], made["lr"], made["save_every"]) == (1, 2e-4, 60.0)
    assert made["canvases"] == [[64, 96], [96, 64]]
    assert made["classes"] == ["car"]
    file.write_text("\n".join([*lines, "", "epocs: 3"]))
    wrong = CliRunner().invoke(app, ["train", "--config", str(file)])
    assert isinstance(wrong.exception, ConfigError)
    assert str(wrong.exception).startswith(f"{file}:9: unknown option 'epocs'; did you mean epochs?")


def test_the_help_names_every_network() -> None:
    words = (
        CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).stdout.replace(",", " ").replace(";", " ").split()
    )
    assert set(NETWORKS) <= set(words)


def test_a_refused_run_leaves_no_folder(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    refused = CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(out), *FAST, "--classes", "unicorn"])
    assert isinstance(refused.exception, ConfigError)
    assert not out.exists()
    out.mkdir()
    CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(out), *FAST, "--classes", "unicorn"])
    assert out.exists(), "it was there before"
