"""From a model to an engine on a GPU: found in the store, built where it is not, refused where it must not be trusted.

The GPU is not there (fake.py); the compiler is the real one of TensorRT-RTX.
"""

from __future__ import annotations

import errno
import weakref
from dataclasses import replace

import numpy as np
import pytest

from streamseg.device.driver import Gpu
from streamseg.engine import choose, open_engine, read_spec
from streamseg.engine.store import Store
from streamseg.engine.tensorrt import opener
from streamseg.engine.tensorrt.opener import build_entry, why_not
from streamseg.errors import ConfigError, EngineError, EngineUnavailable, ModelError
from streamseg.errors.extras import how_to_install
from tests import graphs
from tests.unit.engine.tensorrt import fake
from tests.unit.engine.tensorrt.conftest import RTX, TENSORRT


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("STREAMSEG_ENGINES", str(tmp_path / "engines"))
    return Store()


@pytest.fixture
def spec(tmp_path, world):
    return read_spec(graphs.constant_model(tmp_path / "m.onnx", size=world.size, detections=world.detections, batch=None))


def opened(spec, said=None, batch=4, library=RTX, **options):
    return opener._open(library, spec, batch=batch, on_message=None if said is None else said.append, **options)


def test_an_engine_is_built_once_and_then_found(spec, world, store):
    said: list[str] = []
    for _ in range(2):
        with opened(spec, said) as engine:
            images = np.full((3, *spec.size, 3), 5, np.uint8)
            assert (engine.submit(images).result(20)["labels"] == 5).all()
            assert str(engine).startswith("tensorrt-rtx on Fake RTX 3090 (sm_86, fp32, batches of 1, 4")
    assert len(said) == 1
    assert "building the tensorrt-rtx engine of test for the Fake RTX 3090, once" in said[0]
    (entry,) = store.entries()
    assert entry.manifest is not None
    assert entry.manifest.key.capabilities == ("sm_86",)
    assert world.loaded == [entry.plan.read_bytes()] * 2
    assert world.jit == b"kernels", "what was compiled for this GPU was not kept"


def test_an_engine_made_elsewhere_for_this_gpu_is_taken(spec, world, store):
    build_entry(RTX, spec, store, batches=(1, 4), capabilities=["sm_89", "sm_86"])
    said: list[str] = []
    opened(spec, said).close()
    assert said == []
    assert len(store.entries()) == 1


def test_tensorrt_builds_for_the_very_gpu_and_keeps_what_it_learnt_of_its_kernels(spec, world, store, monkeypatch):
    said: list[str] = []
    opened(spec, said, library=TENSORRT).close()
    assert "building the tensorrt engine" in said[0]
    (entry,) = store.entries()
    assert entry.manifest is not None
    assert (entry.manifest.key.gpu, entry.manifest.key.capabilities) == ("Fake RTX 3090", ("sm_86",))
    assert store.cache(f"timing-tensorrt-{fake.__version__}-Fake RTX 3090")
    opened(spec, said, library=TENSORRT).close()
    assert len(said) == 1
    monkeypatch.setattr(opener, "find_gpu", lambda: replace(fake.GPU, name="Fake A10"))
    opened(spec, said, library=TENSORRT).close()
    assert "built for Fake RTX 3090, this is Fake A10 (sm_86)" in said[1]


def test_the_engine_with_the_fewest_batch_sizes_is_taken(spec, world, store):
    build_entry(RTX, spec, store, batches=(1, 2, 4, 8), capabilities=["sm_86"])
    few = build_entry(RTX, spec, store, batches=(1, 4), capabilities=["sm_86"])
    opened(spec).close()
    assert world.loaded == [few.plan.read_bytes()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model", "stale: the model file has changed"),
        ("version", "stale: built by tensorrt-rtx 0.9, this is"),
        ("gpu", "built for sm_89, this is Fake RTX 3090 (sm_86)"),
        ("batch", "built for batches of 1, not 4"),
    ],
)
def test_an_engine_that_does_not_fit_is_built_again_and_it_is_said_why(spec, world, store, monkeypatch, change, said):
    old = replace(spec, sha256="0" * 64) if change == "model" else spec
    capabilities = ["sm_89" if change == "gpu" else "sm_86"]
    with monkeypatch.context() as then:
        if change == "version":
            then.setattr(fake, "__version__", "0.9")
        build_entry(RTX, old, store, batches=(1,) if change == "batch" else (1, 4), capabilities=capabilities)
    messages: list[str] = []
    opened(spec, messages).close()
    assert said in messages[0]
    assert "building the tensorrt-rtx engine" in messages[1]
    assert len(store.entries()) == 2


@pytest.mark.parametrize("change", ["flip", "manifest", "link", "writable"])
def test_an_engine_that_must_not_be_trusted_never_reaches_the_runtime(spec, world, store, change):
    """Nor is it quietly built again: somebody should know. `streamseg build` and `prune` say so explicitly."""
    entry = build_entry(RTX, spec, store, batches=(1, 4), capabilities=["sm_86"])
    if change == "flip":
        data = bytearray(entry.plan.read_bytes())
        data[len(data) // 2] ^= 1
        entry.plan.write_bytes(data)
    elif change == "manifest":
        other = build_entry(RTX, spec, store, batches=(4,), capabilities=["sm_89"])
        (entry.path / "manifest.json").write_bytes((other.path / "manifest.json").read_bytes())
    elif change == "link":
        entry.plan.rename(entry.path / "plan2")
        entry.plan.symlink_to("plan2")
    else:
        entry.plan.chmod(0o666)
    with pytest.raises(ModelError, match=r"refused: .*streamseg engines prune"):
        opened(spec)
    assert world.loaded == []
    build_entry(RTX, spec, store, batches=(1, 4), capabilities=["sm_86"])
    opened(spec).close()
    assert len(world.loaded) == 1


def test_a_store_that_cannot_be_written_does_not_stop_the_run(spec, world, store, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("streamseg.engine.store._write_file", full)
    said: list[str] = []
    with opened(spec, said) as engine:
        assert engine.submit(np.full((1, *spec.size, 3), 7, np.uint8)).result(20)["labels"][0, 0] == 7
    assert "No space left on device" in said[1]
    assert "in memory" in said[1]
    assert store.entries() == []


def test_too_little_memory_leads_to_smaller_batches_once(spec, world, store):
    build_entry(RTX, spec, store, batches=(1, 4), capabilities=["sm_86"])
    opened(spec).close()
    assert world.driver is not None
    needed = world.driver.used
    world.memory = needed - 1
    said: list[str] = []
    with opened(spec, said) as engine:
        assert "trying batches of up to 1 instead of 4" in said[0]
        answer = engine.submit(np.full((4, *spec.size, 3), 6, np.uint8)).result(20)
        assert (answer["labels"] == 6).all()
        assert world.runs[-4:] == [1, 1, 1, 1]
    world.memory = 100
    with pytest.raises(EngineError, match=r"out of memory, also with batches of up to 1: free GPU memory, or lower batch"):
        opened(spec)
    assert world.driver.closed, "memory of the attempts was not freed"


def test_the_first_attempt_is_gone_before_the_second(spec, world, store, monkeypatch):
    """Its weights would still fill the GPU: the traceback of the error held them."""
    build_entry(RTX, spec, store, batches=(1, 4), capabilities=["sm_86"])
    opened(spec).close()
    assert world.driver is not None
    world.memory = world.driver.used - 1
    earlier: list[weakref.ref[object]] = []
    alive: list[bool] = []
    load = opener.load_plan

    def watched(*args):
        alive.extend(ref() is not None for ref in earlier)
        loaded = load(*args)
        earlier.append(weakref.ref(loaded.engine))
        return loaded

    monkeypatch.setattr(opener, "load_plan", watched)
    opened(spec).close()
    assert alive == [False]


def test_one_batch_size_that_does_not_fit_is_an_error_at_once(spec, world, store):
    world.memory, world.batches = 100, (1,)
    with pytest.raises(EngineError, match="out of memory: free GPU memory"):
        opened(spec, batch=1)


def test_a_plan_of_another_precision_than_asked_for_is_found_out_at_its_first_load(spec, world, store):
    world.information = '{"Layers": [{"LayerType": "CaskConvolution", "Outputs": [{"Format/Datatype": "FP16 format"}]}]}'
    with pytest.raises(EngineError, match="built for fp32, but the plan's convolutions are 1 fp16"):
        opened(spec)


def test_why_not(monkeypatch, world):
    assert why_not(RTX) is None
    monkeypatch.setattr(opener, "find_gpu", lambda: Gpu("GTX 1080", (6, 1), 8 << 30))
    assert why_not(RTX) == "the GTX 1080 (sm_61) is too old: tensorrt-rtx needs sm_75 (Turing) or later"
    gone = replace(TENSORRT, module="no_such_tensorrt")
    assert how_to_install("gpu") in (why_not(gone) or "")
    monkeypatch.setattr(opener, "no_driver", lambda: "no NVIDIA driver")
    assert why_not(gone) == "no NVIDIA driver"


def test_this_machine_without_a_gpu(tmp_path, monkeypatch):
    """What CI is: the compiler is installed, the driver is not there."""
    for module in (opener, choose):
        monkeypatch.setattr(module, "no_driver", lambda: "no NVIDIA driver")
    model = graphs.constant_model(tmp_path / "m.onnx")
    said: list[str] = []
    with open_engine(model, on_message=said.append) as engine:
        assert engine.name == "openvino"
    assert said[0].endswith(" (no NVIDIA driver)")
    with pytest.raises(
        EngineUnavailable, match=r"GPU is required.*tensorrt: no NVIDIA driver; tensorrt-rtx: no NVIDIA driver\. Mend"
    ):
        open_engine(model, require_gpu=True)
    with pytest.raises(EngineUnavailable, match="tensorrt-rtx: no NVIDIA driver"):
        open_engine(model, engine="tensorrt-rtx", require_gpu=True)
    with pytest.raises(ConfigError, match="a GPU is required, but the engine openvino runs on the CPU"):
        open_engine(model, engine="openvino", require_gpu=True)


def test_auto_takes_the_gpu_where_there_is_one(spec, world, store, monkeypatch):
    rtx = [
        replace(c, why_not=lambda: None, open=lambda spec, **o: opener._open(RTX, spec, **o))
        for c in choose.CANDIDATES
        if c.name == "tensorrt-rtx"
    ]
    monkeypatch.setattr(choose, "CANDIDATES", (*rtx, *choose.CANDIDATES[2:]))
    world.batches = (1,)
    with open_engine(spec.path, require_gpu=True) as engine:
        assert engine.name == "tensorrt-rtx"
    world.refuse, world.error = "deserialize", "no kernel image"
    said: list[str] = []
    with open_engine(spec.path, on_message=said.append) as engine:
        assert engine.name == "openvino"
    assert "not tensorrt-rtx: " in said[-1]
    assert "no kernel image" in said[-1]
