"""What is wrong with a file of cameras: told at once, each with its line, in words that a person can act on."""

from __future__ import annotations

import pytest

from streamseg.cli.live import _with_page
from streamseg.errors import ConfigError
from streamseg.live.config import load_live, read_live
from streamseg.live.live import Live
from streamseg.live.news import Warned
from streamseg.live.plan import pipeline_of
from streamseg.live.reload import Edit, sections
from streamseg.pipeline.configure import configured


def written(tmp_path, text):
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    return path


def refused(path):
    with pytest.raises(ConfigError) as caught:
        Live(path)
    return str(caught.value).replace(f"{path}:", "").splitlines()


@pytest.mark.parametrize("off", ["off", '"off"', "[]", "{classes: off}"])
def test_a_camera_leaves_out_the_privacy_of_all(tmp_path, off):
    path = written(
        tmp_path,
        "defaults: {privacy: {classes: person, fill: blur}, margin: 4px}\n"
        f"cameras:\n  door: {{source: x.mp4, privacy: {off}}}\n  yard: x.mp4\n",
    )
    file = load_live(path)
    assert pipeline_of("door", file.cameras["door"])[0].privacy.effect is None
    assert pipeline_of("yard", file.cameras["yard"])[0].privacy.classes == ("person",)
    Live(path)


@pytest.mark.parametrize("pipeline", [None, {"privacy": "person"}, {"privacy": {"classes": "person", "fill": "blur"}}])
def test_privacy_is_taken_off_again(pipeline):
    for off in ("off", False, [], "classes: off"):
        assert configured({"pipeline": pipeline, "privacy": off}).privacy.effect is None


def test_only_what_was_said_of_hiding_is_named_where_nothing_is_hidden():
    with pytest.raises(ConfigError, match="margin: margin says how something is hidden"):
        configured({"margin": "4px"})


def test_all_that_can_be_known_is_told_at_once_each_with_its_line(tmp_path, known):
    path = written(
        tmp_path,
        f"engine: {{model: {known}}}\n"
        "cameras:\n"
        "  door:\n"
        "    source: x.mp4\n"
        "    effects: [blurr]\n"
        "    classes: [persn]\n"
        "    privacy: unicorn\n"
        "  yard:\n"
        "    source: x.mp4\n"
        "    privacy: person\n"
        "    record: {what: camera}\n"
        "  gate:\n"
        "    source: x.mp4\n"
        "    conf: 0.4\n"
        "    ignore: {tree: {points: [[0, 0], [0, 1], [1, 1]], classes: [dragon]}}\n"
        "page: {port: 999999}\n",
    )
    told = refused(path)
    for line, said in (
        (5, "there is no such effect; did you mean 'blur'?"),
        (6, "camera door: classes: there is no 'persn'"),
        (7, "camera door: privacy: unknown class 'unicorn'"),
        (11, "camera yard: record.what is camera"),
        (15, "camera gate: ignore: tree: classes: there is no 'dragon'"),
        (16, "page.port: 999999 is not allowed"),
    ):
        assert any(each.startswith(f"{line}: ") and said in each for each in told), (line, said, told)
    assert len(told) == len(set(told)) == 6


def test_a_model_that_is_misspelt_is_no_reason_to_doubt_classes(tmp_path):
    told = refused(written(tmp_path, "engine: {modle: x}\ncameras: {door: {source: x.mp4, classes: [persn]}}\n"))
    assert len(told) == 1
    assert told[0].startswith("1: engine.modle: unknown key; did you mean 'model'?")


def test_an_edit_that_is_wrong_is_told_whole_with_its_lines(tmp_path):
    path = written(tmp_path, "cameras:\n  door: x.mp4\n")
    live, before = Live(path), load_live(path)
    written(
        tmp_path,
        "cameras:\n  door: {source: x.mp4, conf: 7}\n  yard:\n    source: x.mp4\n    privacy: person\n    margin: wide\n",
    )
    with pytest.raises(ConfigError) as caught:
        Edit.of(live, before, load_live(path, partly=True), sections(before))
    told = str(caught.value).replace(f"{path}:", "").splitlines()
    assert [line.split(": ")[:2] for line in told] == [["2", "cameras.door.conf"], ["5", "camera yard"]]


def test_the_port_of_the_flag_is_told_as_that():
    with pytest.raises(ConfigError, match=r"^--page: port: 999999 is not allowed"):
        _with_page(read_live({}, "cameras"), "999999")


def test_what_a_camera_says_of_load_names_keys_of_its_file(tmp_path):
    live = Live(written(tmp_path, "cameras:\n  door: x.mp4\n"))
    heard = live.bus.subscribe(Warned)
    said = "load: frames are left out; a lower --max-rate, a smaller --size or another model costs less"
    live._cameras["door"]._heard(said)
    assert heard.get(1).text == said.replace("--max-rate", "max_rate").replace("--size", "size")


def test_cameras_may_be_called_what_yaml_takes_for_true(tmp_path):
    path = written(tmp_path, "cameras:\n  on: x.mp4\n  No: {source: x.mp4}\n")
    assert list(load_live(path).cameras) == ["on", "No"]
    assert refused(written(tmp_path, "cameras:\n  a: x.mp4\n  off: {sorce: x.mp4}\n"))[0].startswith("3: cameras.off.")


@pytest.mark.parametrize("place", ["[[0.8], [0.9, 0.1]]", "[0.8, [0.9, 0.1]]", "{points: [[1, 2, 3], [0.9, 0.1]]}"])
def test_a_point_is_a_pair(tmp_path, place):
    told = refused(written(tmp_path, f"cameras:\n  a: {{source: x.mp4, lines: {{step: {place}}}}}\n"))
    assert told[0].startswith("2: cameras.a.lines.step.points.0: ")
    assert told[0].endswith("expected a pair of numbers, as [0.1, 0.5]")
