"""A weights file is ours, or is answered with a ModelError."""

import json

import pytest

from streamseg.errors import ModelError
from streamseg.hub.weights_file import read_header

TENSOR = {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}


def write(path, classes='["person", "car"]', tensor=TENSOR):
    header = {"__metadata__": {"streamseg.network": "lite", "streamseg.classes": classes}, "a": tensor}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(12))
    return path


def test_a_sound_header_is_read(tmp_path):
    header = read_header(write(tmp_path / "a.safetensors"))
    assert (header.network, header.classes, header.half) == ("lite", ("person", "car"), True)


@pytest.mark.parametrize("classes", ["null", "7", "[", "9" * 5000])
def test_classes_that_are_no_list_are_an_error_of_the_model(tmp_path, classes):
    with pytest.raises(ModelError, match="damaged"):
        read_header(write(tmp_path / "a.safetensors", classes))


@pytest.mark.parametrize(
    "tensor", [{"data_offsets": [0, 12]}, {"dtype": "F16"}, [], None, {"dtype": "F16", "data_offsets": [0, 1e400]}]
)
def test_tensors_that_are_none_are_an_error_of_the_model(tmp_path, tensor):
    """TypeError, KeyError or OverflowError before."""
    with pytest.raises(ModelError):
        read_header(write(tmp_path / "a.safetensors", tensor=tensor))
