"""A model on an inference server: the same answers as here, and words for all that can be wrong with one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.served import Place, place_of
from streamseg.engine import open_engine
from streamseg.errors import ConfigError, EngineError, EngineUnavailable, OutputExists
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.triton import config_text, write_repository
from tests import graphs

pytest.importorskip("tritonclient.grpc", reason="needs the extra 'triton'")
pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
from tests.triton_server import Server, serving


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return graphs.constant_model(
        tmp_path / "known.onnx", batch=None, boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.9,), labels=(0,), size=(64, 96)
    )


@pytest.fixture
def server(tmp_path: Path, model: Path) -> Iterator[Server]:
    write_repository(read_spec(model), tmp_path / "models", name="known")
    with serving(tmp_path / "models") as served:
        yield served


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 64, 96, 3), np.uint8)


def test_the_server_gives_what_the_graph_gives_here(server: Server, model: Path) -> None:
    """Also more pictures at once than the server takes."""
    with (
        open_engine(model, engine="onnxruntime", batch=20) as here,
        open_engine(model, engine=f"triton://{server.address}/known", batch=20) as there,
    ):
        images = pictures(20)
        mine, theirs = here.submit(images).result(), there.submit(images).result()
        assert {name: array.tobytes() for name, array in mine.items()} == {
            name: array.tobytes() for name, array in theirs.items()
        }
        assert there.device == f"{server.address} (model known)"
    assert max(shape[0] for shape in server.asked) <= 8


def test_a_server_that_restarts_is_waited_for(server: Server, model: Path) -> None:
    with open_engine(model, engine=f"triton://{server.address}/known") as engine:
        server.away = 2
        assert engine.submit(pictures(1)).result().batch == 1
        assert server.away == 0


def test_an_error_and_silence_of_the_server_are_told(server: Server, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_engine(model, engine=f"triton://{server.address}/known") as engine:
        server.broken = "out of memory"
        with pytest.raises(EngineError, match=r"known: out of memory"):
            engine.submit(pictures(1)).result()
        server.broken, server.hold = "", threading.Event()
        monkeypatch.setattr("streamseg.engine.triton.TIMEOUT", 0.3)
        with pytest.raises(EngineError, match="Deadline Exceeded"):
            engine.submit(pictures(1)).result()
        server.hold.set()


def test_another_model_there_is_refused_before_the_first_picture(server: Server, tmp_path: Path) -> None:
    other = graphs.constant_model(
        tmp_path / "other.onnx", boxes=((1.0, 1.0, 9.0, 9.0),), scores=(0.9,), labels=(0,), size=(32, 96)
    )
    with pytest.raises(EngineError, match=r"they are not the same; choose with --model and --size"):
        open_engine(other, engine=f"triton://{server.address}/known")
    with pytest.raises(EngineError, match=r"no model 'nobody' that is ready"):
        open_engine(other, engine=f"triton://{server.address}/nobody")


def test_no_server_is_told_with_its_address(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamseg.engine.triton._AGAIN", (0.01,))
    with pytest.raises((EngineError, EngineUnavailable), match=r"127\.0\.0\.1:9"):
        open_engine(model, engine="triton://127.0.0.1:9/known")


@pytest.mark.parametrize(
    "address", ["triton://", "triton://host", "triton://host:x/lite", "triton://u:p@host/lite", "triton:///lite"]
)
def test_an_address_that_is_none_is_told(address: str, model: Path) -> None:
    with pytest.raises(ConfigError, match="is no address of a model"):
        open_engine(model, engine=address)


def test_addresses() -> None:
    assert place_of("triton://gpu-1/lite") == Place("gpu-1:8001", "lite")
    assert place_of("tritons://gpu-1:9001/lite/3") == Place("gpu-1:9001", "lite", "3", tls=True)


def test_a_graph_of_one_picture_is_served_as_it_is(tmp_path: Path) -> None:
    one = graphs.constant_model(tmp_path / "one.onnx", size=(64, 96), batch=1)
    write_repository(read_spec(one), tmp_path / "models", name="one")
    with serving(tmp_path / "models") as served, open_engine(one, engine=f"triton://{served.address}/one") as engine:
        assert engine.submit(pictures(3)).result().batch == 3
        assert {shape[0] for shape in served.asked} == {1}


def test_a_repository_is_whole_and_nothing_is_replaced_unasked(model: Path, tmp_path: Path) -> None:
    """The file is what Triton's own messages read; names of classes with quotes and other letters survive."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    spec = read_spec(model)
    folder = write_repository(spec, tmp_path / "models")
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert config.name == folder.name
    assert [output.name for output in config.output] == list(spec.outputs)
    assert list(config.input[0].dims) == [64, 96, 3]
    assert read_spec(folder / "1" / "model.onnx").sha256 == spec.sha256
    with pytest.raises(OutputExists, match="already exists"):
        write_repository(spec, tmp_path / "models")
    write_repository(spec, tmp_path / "models", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [folder.name]
    odd = text_format.Parse(
        config_text(replace(spec, classes=('5" pipe', "Fußgänger", "a\\b")), "x"), model_config_pb2.ModelConfig()
    )
    assert json.loads(odd.parameters["streamseg.classes"].string_value) == ['5" pipe', "Fußgänger", "a\\b"]
