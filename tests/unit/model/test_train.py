from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import csv
import itertools
from collections.abc import Callable
from pathlib import Path

import torch

from streamseg.errors import ConfigError, ModelError
from streamseg.model.coco import read_coco
from streamseg.model.train import TERMS, Settings, Trainer, main
from streamseg.model.weights import ModelInfo, load_weights
from tests.unit.model.conftest import annotation

INFO = ModelInfo("lite", ("person", "car"), (1, 3))
ROWS = [annotation(1, 1, (10, 10, 30, 40)), annotation(2, 2, (5, 5, 40, 50), category=3)]
MakeCoco = Callable[..., Path]


def trainer(path: Path, out: Path, **changes: object) -> Trainer:
    given = {"steps": 4, "batch": 2, "canvases": ((64, 96),), "workers": 0, "pretrained": False, "warmup": 1, **changes}
    return Trainer(read_coco(path)[0], {}, INFO, Settings(**given), out)  # type: ignore[arg-type]


def advance(run: Trainer, steps: int) -> list[dict[str, float]]:
    return [run.update(*batch) for batch in itertools.islice(run.batches(), steps)]


def test_resume_is_exact(make_coco: MakeCoco, tmp_path: Path) -> None:
    """Two steps, a checkpoint and two more equal four in one go: weights, average, optimiser, all bits."""
    path = make_coco(ROWS)
    whole = trainer(path, tmp_path / "whole")
    straight = advance(whole, 4)
    first = trainer(path, tmp_path / "halves")
    halves = advance(first, 2)
    first.save()
    second = trainer(path, tmp_path / "halves")
    second.load()
    assert second.step == 2
    halves += advance(second, 2)
    assert halves == straight
    for mine, other in ((whole.model, second.model), (whole.average, second.average)):
        for (name, a), b in zip(mine.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    terms = torch.tensor([[row[t] for t in TERMS] for row in straight])
    assert torch.isfinite(terms).all()
    assert not any(row["skipped"] for row in straight)


def test_run_writes_weights_log_and_goes_on_from_a_checkpoint(make_coco: MakeCoco, tmp_path: Path) -> None:
    path = make_coco(ROWS)
    early = trainer(path, tmp_path / "run", steps=20)
    advance(early, 18)
    early.save()
    run = trainer(path, tmp_path / "run", steps=20, replicas=2)
    run.run()
    assert run.step == 20
    rows = list(csv.DictReader((tmp_path / "run" / "losses.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["20"]
    model, info = load_weights(tmp_path / "run" / "model.safetensors")
    assert info == INFO
    assert not model.training
    stored = dict(run.average.state_dict())
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.allclose(value, stored[name], rtol=1e-3, atol=1e-6), name


def test_frozen_parts_do_not_move(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run")
    body = run.model.backbone.body
    before = {k: v.clone() for k, v in body.state_dict().items()}
    advance(run, 2)
    moved = {
        k.split(".")[1] if k.startswith("_blocks") else k for k, v in body.state_dict().items() if not torch.equal(v, before[k])
    }
    assert moved == {str(i) for i in range(5, 16)}, "stem and first three stages (blocks 0 to 4) are frozen"
    assert not any("_bn" in k and not torch.equal(v, before[k]) for k, v in body.state_dict().items())


def test_a_loss_that_is_not_finite_changes_nothing(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run", weights={"loss_mask": float("nan")})
    before = {k: v.clone() for k, v in run.model.named_parameters()}
    answer = advance(run, 1)[0]
    assert answer["skipped"] == 1
    assert all(torch.equal(v, before[k]) for k, v in run.model.named_parameters())


def test_the_schedule_warms_up_and_falls(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run", steps=None, minutes=10.0, warmup=10, lr=1.0)
    assert run.learning_rate() == pytest.approx(0.1)
    run.step, run.elapsed = 50, 300.0
    assert run.learning_rate() == pytest.approx(0.505)
    run.elapsed = 600.0
    assert run.learning_rate() == pytest.approx(0.01)
    assert run.progress == 1


def test_either_minutes_or_steps(make_coco: MakeCoco, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either minutes or steps"):
        trainer(make_coco(ROWS), tmp_path / "run", minutes=1.0)


def test_fine_tuning_starts_from_a_weights_file(make_coco: MakeCoco, tmp_path: Path, lively_weights: Path) -> None:
    path = make_coco(ROWS)
    run = trainer(path, tmp_path / "run", start=lively_weights)
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(run.model.state_dict()[name], load_weights(lively_weights)[0].state_dict()[name])
    run.settings.start = tmp_path / "nowhere.safetensors"
    with pytest.raises(ModelError, match="not a weights file"):
        run._model()


def test_the_command_line(make_coco: MakeCoco, tmp_path: Path, lively_weights: Path) -> None:
    path = make_coco(ROWS)
    main(["--data", f"{path}@{path.parent / 'images'}", "--out", str(tmp_path / "o"), "--steps", "1", "--batch", "1",
          "--workers", "0", "--start", str(lively_weights)])  # fmt: skip
    assert (tmp_path / "o" / "model.safetensors").is_file()
    assert not list((tmp_path / "o").glob("*.partial"))
