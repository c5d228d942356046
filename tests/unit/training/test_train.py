from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import csv
import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from streamseg.datasets.coco import DataFile, read_data
from streamseg.errors import (
    BadOutput,
    ConfigError,
    EngineError,
    EngineUnavailable,
    ModelError,
    OutputError,
    OutputExists,
    StageError,
)
from streamseg.networks.weights import WeightsInfo, build_for, load_weights, save_weights
from streamseg.training.dataset import Batch, batches
from streamseg.training.train import TERMS, Settings, Trainer
from streamseg.training.validate import Validation
from tests.full_disk import file_size_limit
from tests.unit.conftest import annotation

INFO = WeightsInfo("lite", ("person", "car"), (1, 3))
ROWS = [annotation(1, 1, (10, 10, 30, 40)), annotation(2, 2, (5, 5, 40, 50), category=3)]
MakeCoco = Callable[..., Path]


class Notes:
    """An observer that remembers what it hears, and can end the run after a step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.losses: list[dict[str, float]] = []
        self.stop_after = stop_after

    def on_message(self, message: str) -> None:
        self.said.append(message)

    def on_step(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        self.losses.append(dict(values))
        trainer.stop = trainer.step == self.stop_after


def trainer(path: Path, out: Path, observer: Notes | None = None, start: str | None = None, **changes: Any) -> Trainer:
    given = {"steps": 4, "batch": 2, "canvases": ((64, 96),), "workers": 0, "pretrained": False, "warmup": 1, **changes}
    return Trainer(read_data([DataFile(path)]), Settings(**given), out, start=start, observer=observer)


def samples(run: Trainer, workers: int = 0) -> Iterator[Batch]:
    return batches(run.samples, run.step * run.settings.batch, workers)


def advance(run: Trainer, steps: int, workers: int = 0) -> list[dict[str, float]]:
    return [run.update(*batch) for batch in itertools.islice(samples(run, workers), steps)]


def same_state(first: Trainer, second: Trainer) -> None:
    for mine, other in ((first.model, second.model), (first.average, second.average)):
        for (name, a), b in zip(mine.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    for a, b in zip(first.optimizer.state.values(), second.optimizer.state.values(), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in ("exp_avg", "exp_avg_sq", "step"))


@pytest.mark.parametrize(("amp", "workers", "steps"), [("off", 1, 3), ("bf16", 0, 1)])
def test_resume_is_exact(make_coco: MakeCoco, tmp_path: Path, amp: str, workers: int, steps: int) -> None:
    """Some steps, a checkpoint and as many more equal all in one go, whoever makes the samples: all bits of the state."""
    path = make_coco(ROWS)
    whole = trainer(path, tmp_path / "whole", amp=amp)
    straight = advance(whole, 2 * steps)
    (tmp_path / "halves").mkdir()
    first = trainer(path, tmp_path / "halves", amp=amp)
    halves = advance(first, steps)
    first.save()
    second = trainer(path, tmp_path / "halves", amp=amp)
    second.load()
    assert second.step == steps
    halves += advance(second, steps, workers)
    assert halves == straight
    same_state(whole, second)
    assert torch.isfinite(torch.tensor([[row[t] for t in TERMS] for row in straight])).all()
    assert not any(row["skipped"] for row in straight)


def test_bf16_on_a_cpu_learns_what_float32_does(make_coco: MakeCoco, tmp_path: Path) -> None:
    """Depthwise convolutions that learn run in float32, the others in bf16; the average computes with weights of its own."""
    path, seen = make_coco(ROWS), {}
    losses = {amp: advance(trainer(path, tmp_path / amp, amp=amp, lr=1e-5), 2)[-1] for amp in ("off", "bf16")}
    for term, value in losses["off"].items():
        assert losses["bf16"][term] == pytest.approx(value, rel=0.15, abs=0.01), term
    run = trainer(path, tmp_path / "types", amp="bf16")
    for module in run.model.backbone.modules():
        if isinstance(module, torch.nn.Conv2d) and module.weight.requires_grad:
            key = "depthwise" if module.groups > 1 else "other"
            module.register_forward_hook(lambda _m, _i, out, key=key: seen.setdefault(key, set()).add(out.dtype))
    advance(run, 1)
    assert seen == {"depthwise": {torch.float32}, "other": {torch.bfloat16}}
    picture = torch.rand(1, 3, 64, 96)
    before = run.average.backbone(picture)["0"]
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.zero_()
    assert torch.equal(run.average.backbone(picture)["0"], before)


def test_the_scale_of_fp16_is_part_of_a_checkpoint(make_coco: MakeCoco, tmp_path: Path) -> None:
    path = make_coco(ROWS)
    first = trainer(path, tmp_path, amp="fp16", batch=1)
    row = advance(first, 1)[0]
    assert all(row[term] < 100 for term in TERMS), "the scale is no part of the loss"
    first.precision.scaler.update(32.0)
    first.save()
    second = trainer(path, tmp_path, amp="fp16", batch=1)
    second.load()
    assert second.precision.scaler.get_scale() == 32.0


def test_a_stopped_run_goes_on_where_it_stopped(make_coco: MakeCoco, tmp_path: Path) -> None:
    path = make_coco(ROWS)
    out = tmp_path / "run"
    notes = Notes(stop_after=2)
    trainer(path, out, notes, steps=5).run()
    assert len(notes.losses) == 2
    with pytest.raises(OutputExists, match="--resume"):
        trainer(path, out, steps=5).run()
    with (out / "losses.csv").open("a") as file:  # a run that was killed had come further than its checkpoint
        file.write("4,0.1,1,1,1,1,1,1,0\r\n5,0.1,1")
    run = trainer(path, out, notes, steps=5, replicas=2)
    run.run(resume=True)
    assert run.step == 5
    assert len(notes.losses) == 5
    rows = list(csv.DictReader((out / "losses.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["2", "5"]
    assert all(float(row[term]) > 0 for row in rows for term in TERMS)
    model, info = load_weights(out / "model.safetensors")
    assert info == INFO
    stored = dict(run.average.state_dict())
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.allclose(value, stored[name], rtol=1e-3, atol=1e-6), name
    assert not list(out.glob("*.part*"))


def test_a_checkpoint_of_another_run_is_refused_or_the_difference_said(make_coco: MakeCoco, tmp_path: Path) -> None:
    path, out = make_coco(ROWS), tmp_path
    trainer(path, out).save()
    notes = Notes()
    trainer(path, out, notes, lr=1e-3).load()
    assert notes.said == ["lr was 0.0004, is now 0.001: the run goes on, but not as it would have"]
    with pytest.raises(ConfigError, match="freeze was None, is now 0"):
        trainer(path, out, freeze=0).load()
    with pytest.raises(ConfigError, match="--amp"):
        trainer(path, out, amp="fp16").load()
    data = (out / "checkpoint.pt").read_bytes()
    (out / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="not a checkpoint"):
        trainer(path, out).load()


class Spoiler(Notes):
    """Lets no row be added to losses.csv, either."""

    def on_step(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        super().on_step(trainer, values)
        (trainer.out / "losses.csv").mkdir(exist_ok=True)


def test_a_full_disk_keeps_the_checkpoint_before(make_coco: MakeCoco, tmp_path: Path) -> None:
    notes = Spoiler()
    run = trainer(make_coco(ROWS), tmp_path / "run", notes, steps=2, save_every=1e-6)
    run.out.mkdir()
    run.save()
    kept = (run.out / "checkpoint.pt").read_bytes(), (run.out / "model.safetensors").read_bytes()
    with file_size_limit(1 << 20), pytest.raises(OutputError, match="checkpoint could not be written"):
        run.run(resume=True)
    assert run.step == 2, "a run is not lost for want of a checkpoint: it goes on, and says so"
    assert sum("checkpoint could not be written" in message for message in notes.said) == 3
    assert sum("losses.csv: cannot write the log" in message for message in notes.said) == 1
    assert kept == ((run.out / "checkpoint.pt").read_bytes(), (run.out / "model.safetensors").read_bytes())
    assert not list(run.out.glob(".*part"))


@pytest.mark.parametrize(
    ("stages", "moved"),
    [(None, range(5, 16)), (0, range(16)), (6, range(15, 16))],
)
def test_frozen_parts_do_not_move(make_coco: MakeCoco, tmp_path: Path, stages: int | None, moved: range) -> None:
    path = make_coco(ROWS)
    run = trainer(path, tmp_path / "run", freeze=stages)
    body = run.model.backbone.body
    before = {k: v.clone() for k, v in body.state_dict().items()}
    advance(run, 1)
    changed = {k for k, v in body.state_dict().items() if not torch.equal(v, before[k])}
    assert {int(k.split(".")[1]) for k in changed if k.startswith("_blocks")} == set(moved)
    assert ("_conv_stem.weight" in changed) == (stages == 0)
    assert not any("_bn" in k for k in changed)
    with pytest.raises(ConfigError, match="cannot freeze 8 stages: the body has 7"):
        trainer(path, tmp_path / "run", freeze=8)


def test_weights_with_calibrated_scores_keep_their_threshold(make_coco: MakeCoco, tmp_path: Path) -> None:
    calibrated = replace(INFO, conf=0.2, score_threshold=0.01)
    save_weights(build_for(calibrated), calibrated, tmp_path / "calibrated.safetensors")
    run = trainer(make_coco(ROWS), tmp_path / "run", start=str(tmp_path / "calibrated.safetensors"))
    run.run()
    model, info = load_weights(tmp_path / "run" / "model.safetensors")
    assert (model.roi_heads.score_thresh, info.score_threshold) == (0.01, 0.01)


def test_masks_alone_can_learn(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run", learn="masks")
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    losses = advance(run, 2)
    changed = {k for k, v in run.model.state_dict().items() if not torch.equal(v, before[k])}
    learnt = ("roi_heads.mask_head.", "roi_heads.mask_predictor.", "backbone.fine.")
    assert all(k.startswith(learnt) for k in changed)
    assert all(any(k.startswith(part) for k in changed) for part in learnt)
    assert [{name for name, value in terms.items() if value} for terms in losses] == [{"loss_mask"}] * 2


def test_the_weight_of_the_mask_loss_counts_where_masks_learn_alone(make_coco: MakeCoco, tmp_path: Path) -> None:
    path, found = make_coco(ROWS), []
    for weight in (1.0, 3.0):
        run = trainer(path, tmp_path / "run", learn="masks", weights={"loss_mask": weight})
        batch = next(samples(run))
        torch.manual_seed(0)
        found.append(float(run.losses(*batch)["loss_mask"].detach()))
    assert found[1] == pytest.approx(3 * found[0])


def test_masks_alone_learn_nothing_from_a_batch_without_masks(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run", learn="masks")
    images, targets = next(samples(run))
    bare = [{**target, "has_mask": torch.zeros_like(target["has_mask"])} for target in targets]
    assert run.update(images, bare) == dict.fromkeys([*TERMS, "skipped"], 0.0)
    assert run.update(images, targets)["loss_mask"] > 0


def test_masks_alone_cannot_learn_where_they_share_a_trunk(make_coco: MakeCoco, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="share their trunk"):
        trainer(make_coco(ROWS), tmp_path / "run", network="resnet50-c4", learn="masks")


def test_a_loss_that_is_not_finite_changes_nothing_and_ends_a_run_that_has_many(make_coco: MakeCoco, tmp_path: Path) -> None:
    path = make_coco(ROWS)
    run = trainer(path, tmp_path / "run", weights={"loss_mask": float("nan")}, steps=9, nan_limit=3)
    before = {k: v.clone() for k, v in run.model.named_parameters()}
    with pytest.raises(BadOutput, match=r"not finite in 3 steps in a row, up to step 3: try a lower --lr; no checkpoint"):
        run.run()
    assert run.step == 3
    assert all(torch.equal(v, before[k]) for k, v in run.model.named_parameters())


def test_a_step_that_is_not_finite_leaves_no_trace_in_batch_norm(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run")
    images, targets = next(iter(samples(run)))
    with torch.no_grad():
        run.model.backbone.lateral[0][0].weight.fill_(float("nan"))
    assert run.update(images, targets)["skipped"] == 1
    assert all(torch.isfinite(b).all() for b in run.model.buffers() if b.is_floating_point())


def test_the_average_follows_the_weights(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run")
    name = "roi_heads.box_predictor.cls_score.weight"
    expected = run.model.state_dict()[name].clone()
    for step in (1, 2):
        advance(run, 1)
        decay = step / (9 + step)  # of a young average, so that it forgets where it began
        expected = decay * expected + (1 - decay) * run.model.state_dict()[name]
    assert torch.allclose(run.average.state_dict()[name], expected, atol=1e-6)


def test_the_schedule_warms_up_and_falls(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path / "run", steps=None, minutes=10.0, warmup=10, lr=1.0)
    assert run.learning_rate() == pytest.approx(0.1)
    run.step, run.elapsed = 50, 300.0
    assert run.learning_rate() == pytest.approx(0.505)
    run.elapsed = 600.0
    assert run.learning_rate() == pytest.approx(0.01)
    assert run.progress == 1
    short = trainer(tmp_path / "coco" / "instances.json", tmp_path / "run", steps=100, warmup=1000, lr=1.0)
    short.step = 10
    assert short.learning_rate() > 0.97, "a short run is not spent warming up"


def test_an_epoch_is_as_many_samples_as_there_are_photos(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS, images=5), tmp_path / "run", steps=None, epochs=2.0)
    assert run.total == 5  # 10 samples in batches of 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"minutes": 1.0}, "one of steps, minutes and epochs"),
        ({"steps": None}, "one of steps, minutes and epochs"),
        ({"steps": 0}, "steps is 0; it must be above 0"),
        ({"canvases": ((100, 96),)}, "100x96: sides must be multiples of 32"),
        ({"network": "heavy"}, "network is 'heavy'; allowed: one of lite"),
        ({"amp": "int8"}, "amp is 'int8'; allowed: one of auto, off, bf16, fp16"),
        ({"weights": {"loss_maks": 2.0}}, "loss term is 'loss_maks'; allowed"),
        ({"replicas": 3}, "3 replicas cannot share a batch of 2"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"repeat": 2.0}, "repeat is 2.0; allowed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings(**{"steps": 4, "batch": 2, **wrong})


def test_a_gpu_that_is_not_there_is_refused(make_coco: MakeCoco, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(EngineUnavailable, match="--device cuda"):
        trainer(make_coco(ROWS), tmp_path, device="cuda")


def test_data_without_an_object_are_refused(make_coco: MakeCoco, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no object to learn; .*--crowds objects"):
        trainer(make_coco([annotation(1, 1, (10, 10, 30, 40), iscrowd=1)]), tmp_path)


def test_photos_that_are_learnt_and_evaluated_on_are_told(make_coco: MakeCoco, tmp_path: Path) -> None:
    path = make_coco(ROWS)
    settings = Settings(steps=1, pretrained=False)
    data = read_data([DataFile(path)])
    run = Trainer(data, settings, tmp_path, validation=Validation([DataFile(path)], INFO))
    assert "2 photos to evaluate on are also learnt from" in run.origin[-1]


def test_a_full_gpu_is_answered_with_what_to_do(make_coco: MakeCoco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer(make_coco(ROWS), tmp_path)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(run, "losses", full)
    with pytest.raises(EngineError, match="smaller --batch or --size"):
        run.run()


def test_a_sampling_process_that_is_killed_is_told(make_coco: MakeCoco, tmp_path: Path) -> None:
    run = trainer(make_coco(ROWS), tmp_path)
    stream = samples(run, workers=1)
    next(stream)
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(StageError, match="the sampling stage failed"):
        list(itertools.islice(stream, 50))
