"""Files that claim to be models: each is refused in words, before anything is run, and nothing is left behind.

Most are like files that people reported to have, of makers that meant no harm.
"""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamseg.detect import heads
from streamseg.engine import choose, open_engine
from streamseg.errors import ConfigError, ModelError, StreamsegError
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.importer import import_file
from tests import graphs
from tests.foreign import foreign_model, mask_rcnn_rows
from tests.graphs import rewritten

NAMES = {"names": "{0: 'person', 1: 'car'}"}


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """Engines are not to be opened, and neither models nor cache to hold anything afterwards."""

    def run(*_, **__):
        raise AssertionError("an engine was opened for a hostile file")

    monkeypatch.setattr(choose, "CANDIDATES", tuple(choose.replace(c, open=run) for c in choose.CANDIDATES))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "models"))
    yield
    for folder in (tmp_path / "cache", tmp_path / "models"):
        assert not [path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts]


def theirs(tmp_path, **changes):
    return foreign_model(tmp_path / "theirs.onnx", changes.pop("outputs", mask_rcnn_rows()), **{"metadata": NAMES, **changes})


def sidecar(path, text):
    path.with_suffix(".yaml").write_text(text)
    return path


def wrong_rank(tmp_path):
    """Frames of a clip, [1, 3, 6, H, W] (open-mmlab/mmdetection#7078)."""
    about = "family: mask-rcnn\ninput: {name: images}\noutputs: {boxes: boxes}\nclasses: [a]\n"
    return sidecar(theirs(tmp_path, shape=(1, 3, 6, 64, 96)), about)


def nan_weights(tmp_path):
    rows = mask_rcnn_rows()
    rows["scores"][0, 1] = np.nan
    return theirs(tmp_path, outputs=rows)


def zero_classes(tmp_path):
    return sidecar(theirs(tmp_path), "classes: []\n")


def no_size(tmp_path):
    return theirs(tmp_path, shape=(1, 3, "height", "width"))


def weights_elsewhere(tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 16))
    path = foreign_model(tmp_path / "model" / "theirs.onnx", mask_rcnn_rows(), metadata=NAMES)
    graphs.move_weights(path, claim="../secret.bin")
    return path


def cut_weights(tmp_path):
    path = theirs(tmp_path)
    weights = graphs.move_weights(path)
    weights.write_bytes(weights.read_bytes()[:-100])
    return path


def two_gigabytes_of_weights(tmp_path):
    """The file says that a tensor of 2 GB begins in it."""
    path = theirs(tmp_path)
    graphs.move_weights(path)

    def change(model):
        for entry in model.graph.initializer[0].external_data:
            if entry.key == "length":
                entry.value = str(2 << 30)

    return rewritten(path, change)


def two_gigabytes_within(tmp_path):
    """Dims of 2 GB, and the bytes of one number."""

    def change(model):
        model.graph.initializer[0].dims[:] = [1 << 29]

    return rewritten(theirs(tmp_path), change)


def endless_answer(tmp_path):
    def change(model):
        model.graph.node[-1].output[0] = "small"
        model.graph.node.append(helper.make_node("ConstantOfShape", ["large"], ["masks"]))
        model.graph.initializer.append(numpy_helper.from_array(np.array([1, 3, 1 << 20, 1 << 20]), "large"))

    return rewritten(theirs(tmp_path), change)


def endless_picture(tmp_path):
    return theirs(tmp_path, shape=(1, 3, 1 << 16, 1 << 16))


def endless_choice(tmp_path):
    return sidecar(theirs(tmp_path, shape=(1, 3, "h", "w")), "input: {size: 100000x100000}\n")


def missing_output(tmp_path):
    return sidecar(theirs(tmp_path), "outputs: {masks: protos}\n")


def custom_domain(tmp_path):
    node = helper.make_node("Attention", ["images"], ["attended"], domain="com.microsoft")
    return theirs(tmp_path, extra=[node])


def unknown_operator(tmp_path):
    return theirs(tmp_path, extra=[helper.make_node("DeformConvNet", ["images"], ["deformed"])])


def another_layout(tmp_path):
    return sidecar(theirs(tmp_path), "input: {layout: nhwc}\n")


def another_size(tmp_path):
    return sidecar(theirs(tmp_path), "input: {size: 640x640}\n")


def another_input(tmp_path):
    return sidecar(theirs(tmp_path), "input: {name: data}\n")


def two_inputs(tmp_path):
    """Sizes besides the picture (PaddleDetection's im_shape and scale_factor)."""

    def change(model):
        model.graph.input.append(helper.make_tensor_value_info("im_shape", TensorProto.FLOAT, [1, 2]))

    about = "family: mask-rcnn\ninput: {name: images}\noutputs: {boxes: boxes}\nclasses: [a]\n"
    return sidecar(rewritten(theirs(tmp_path), change), about)


def four_channels(tmp_path):
    return theirs(tmp_path, shape=(1, 4, 64, 96))


def of_doubles(tmp_path):
    return theirs(tmp_path, dtype=TensorProto.DOUBLE)


def strange_opset(tmp_path):
    return theirs(tmp_path, opset=6)


def truncated(tmp_path):
    path = theirs(tmp_path)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def without_its_end(tmp_path):
    """Cut off between two fields."""
    return rewritten(theirs(tmp_path), lambda model: model.ClearField("opset_import"))


def a_folder(tmp_path):
    (tmp_path / "theirs.onnx").mkdir()
    return tmp_path / "theirs.onnx"


def billion_laughs(tmp_path):
    bomb = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    return sidecar(theirs(tmp_path), bomb + "classes: *i\n")


def endless_brackets(tmp_path):
    return sidecar(theirs(tmp_path), "classes: " + "[" * 5000 + "]" * 5000)


def code_in_yaml(tmp_path):
    return sidecar(theirs(tmp_path), "family: !!python/object/apply:os.system [touch ran]\n")


def unknown_key(tmp_path):
    return sidecar(theirs(tmp_path), "family: mask-rcnn\nlabels: [person]\n")


def not_a_number(tmp_path):
    return sidecar(theirs(tmp_path), "input: {std: [.nan, 1, 1]}\n")


def no_such_family(tmp_path):
    return sidecar(theirs(tmp_path), "family: mask-rcn\n")


def nobodys(tmp_path):
    return theirs(tmp_path, outputs={"logits": np.zeros((1, 1000), np.float32)})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (wrong_rank, r"takes images: float32 \[1, 3, 6, 64, 96\]; a picture of rank 4"),
        (nan_weights, r"broken: 1 of the weights in 'scores_value' are NaN"),
        (zero_classes, r"theirs\.yaml:\d+: classes: a model without classes finds nothing"),
        (no_size, r"pictures of any size, and nothing says which: give --size HEIGHTxWIDTH"),
        (weights_elsewhere, r"keeps weights in '\.\./secret\.bin': only a plain file name"),
        (cut_weights, r"weights\.bin is cut short: \d+ bytes of at least \d+"),
        (two_gigabytes_of_weights, r"weights\.bin is cut short: \d+ bytes of at least 2147\d+"),
        (two_gigabytes_within, r"its tensor 'boxes_value' is damaged"),
        (endless_answer, r"claims to answer 3\.3e\+12 numbers for each picture"),
        (endless_picture, r"an input of 65536x65536 is not possible; allowed: up to 4096x4096"),
        (endless_choice, r"an input of 100000x100000 is not possible"),
        (missing_output, r"theirs\.yaml:1: outputs\.masks: .*theirs\.onnx has no output 'protos'; it gives boxes: float32"),
        (custom_domain, r"needs operators that are not ONNX's own \(com\.microsoft::Attention\)"),
        (unknown_operator, r"needs operators that ONNX does not have \(DeformConvNet\)"),
        (another_layout, r"theirs\.yaml:1: input\.layout: .*; of nhwc that is 96 channels, and three are needed"),
        (another_size, r"theirs\.yaml:1: input\.size: .* takes 64x96, not 640x640: leave the size out"),
        (another_input, r"theirs\.yaml:1: input\.name: .* has no input 'data'; it takes images: float32"),
        (two_inputs, r"takes images: .*, im_shape: float32 \[1, 2\]; a model of one input"),
        (four_channels, r"that is 4 channels, and three are needed"),
        (of_doubles, r"takes images: float64 .*; a picture of float32, float16, uint8 is needed"),
        (strange_opset, r"is of opset 6; 7 or newer is needed"),
        (truncated, r"is not an ONNX file, or is damaged: a field of \d+ bytes runs past the end"),
        (without_its_end, r"does not say of which opset its operators are: it is cut off"),
        (a_folder, r"is a folder; name the file in it|there is no model file"),
        (billion_laughs, r"theirs\.yaml:\d+: aliases \(&, \*\) are not supported"),
        (endless_brackets, r"theirs\.yaml:1: more than 32 lists and sections within each other"),
        (code_in_yaml, r"theirs\.yaml:1: not valid YAML: could not determine a constructor"),
        (unknown_key, r"theirs\.yaml:2: labels: unknown"),
        (not_a_number, r"theirs\.yaml:1: input\.std\.0: nan is not allowed; expected a finite number"),
        (no_such_family, r"theirs\.yaml:1: family: there is no head 'mask-rcn'; did you mean 'mask-rcnn'\?"),
        (nobodys, r"gives logits: float32 \[1, 1000\]; no family here knows that \(mask-rcnn"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_it_is_refused_in_words_and_nothing_is_run(tmp_path, monkeypatch, make, said):
    path = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    for use in (lambda: import_file(path, check=heads.check_readable), lambda: open_engine(path)):
        with pytest.raises((ModelError, ConfigError), match=said) as caught:
            use()
        assert len(str(caught.value)) < 1000
    assert not (tmp_path / "ran").exists()


def test_two_families_that_fit_are_both_named(tmp_path, monkeypatch):
    class Twin(heads.MaskRCNN):
        name = "twin"

    monkeypatch.setitem(heads.HEADS, "twin", Twin)
    path = theirs(tmp_path)
    for use in (import_file, open_engine):
        with pytest.raises(ModelError, match=r"may be mask-rcnn or twin: say which \(--family"):
            use(path)


def test_any_damage_is_an_error_of_ours(tmp_path, monkeypatch):
    """Cut anywhere, or with bytes changed, a file is refused or adapted: never another exception."""
    monkeypatch.undo()
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "elsewhere"))
    data = theirs(tmp_path).read_bytes()
    path = tmp_path / "damaged.onnx"
    chance = np.random.default_rng(11)
    refused = 0
    for step in range(120):
        damaged = bytearray(data[: int(chance.integers(len(data)))] if step < 30 else data)
        for at in chance.integers(len(damaged), size=int(chance.integers(1, 12))) if step >= 30 and damaged else ():
            damaged[at] = int(chance.integers(256))
        path.write_bytes(damaged)
        try:
            adapted(understand(path))
        except StreamsegError:
            refused += 1
    assert refused > 50


def test_initializers_that_are_listed_as_inputs_are_none(tmp_path, monkeypatch):
    """As IR version 3 has it: not a hostile file, though it seems to want its weights from us."""
    monkeypatch.undo()
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "elsewhere"))
    path = theirs(tmp_path, ir=3, opset=8)
    assert list(understand(path).graph.inputs) == ["images"]
    for engine in ("openvino", "onnxruntime"):
        with open_engine(path, engine=engine) as opened:
            answer = opened.submit(np.zeros((1, 64, 96, 3), np.uint8)).result()
        assert answer["boxes"][0, 1].tolist() == [50, 10, 90, 60]


def test_a_yaml_of_somebody_else_beside_the_file_is_passed_over_aloud(tmp_path, monkeypatch):
    """A trainer's own file is often called as the model is."""
    monkeypatch.undo()
    path = sidecar(theirs(tmp_path), "nc: 80\nbackbone: [[-1, 1, Conv, [64, 3, 2]]]\n")
    said: list[str] = []
    assert understand(path, on_message=said.append).sidecar is None
    assert "says nothing about how theirs.onnx is read" in said[0]


def test_weights_of_double_precision_and_constants_that_are_nan_alone_pass(tmp_path, monkeypatch):
    """Exporters write a lone NaN or infinity as a mark, as in attention's masks."""
    monkeypatch.undo()
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "elsewhere"))
    lone = numpy_helper.from_array(np.array(np.nan, np.float32), "mark")
    low = numpy_helper.from_array(np.full(4, -np.inf, np.float32), "low")
    assert adapted(understand(theirs(tmp_path, initializers=[lone, low]))).is_file()
