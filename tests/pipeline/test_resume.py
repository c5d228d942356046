"""A run that was cut off goes on, and what comes out is to the byte what a run gives that never was."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamseg.composite import Compositor
from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.detect.infer import Infer
from streamseg.edits import Edits
from streamseg.encode.video.encoder import Encoder
from streamseg.encode.video.sink import VideoSink
from streamseg.errors import ConfigError, OutputError
from streamseg.jobs import progress
from streamseg.jobs.resume import ResumableRun
from streamseg.pipeline.outputs import plan
from streamseg.pipeline.report import Tally
from tests import clips

FRAMES = 50
OUTPUTS = ("film.mp4", "frames/%04d.png", "seen.jsonl", "seen.coco.json")
CONFIG = """
infer: {every: 2}
events: {lines: {door: [[0.5, 0.0], [0.5, 1.0]]}}
outputs:
  picture: {path: "{out}", composite: [{blur: {where: background}}, overlay, counts]}
  alpha: {path: "{stem}.alpha.mov", composite: [alpha]}
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return clips.with_subtitles(tmp_path_factory.mktemp("film") / "film.mkv", FRAMES)


@pytest.fixture(scope="module", autouse=True)
def short_parts():
    """Ten pictures a part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamseg.jobs.progress.PART_SECONDS", 0.4)
        yield


def run(config, film: Path, folder: Path, outputs=OUTPUTS, **options):
    """Run to the end; what was said."""
    said = []
    job = ResumableRun(film, config, [str(folder / name) for name in outputs], on_message=said.append, **options)
    job.run()
    return job, said


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@dataclass
class Cut:
    """A run that was not cut off, and what lay on the disk at some moments of it: what a kill would have left."""

    config: PipelineConfig
    whole: dict[str, bytes]
    left: dict[int, Path]
    """By the number of the frame that was being counted."""

    def put_back(self, at: int, folder: Path) -> Path:
        return Path(shutil.copytree(self.left[at], folder))


def copy_living(source: Path, target: Path) -> None:
    """A folder in which files come and go."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path, target / path.relative_to(source))


@pytest.fixture(scope="module")
def cut(known, film, tmp_path_factory) -> Cut:
    config = parse_pipeline(CONFIG, "test.yaml")
    config = config.model_copy(update={"infer": config.infer.model_copy(update={"model": str(known), "threads": 1})})
    folder, left, count = tmp_path_factory.mktemp("cut"), {}, Tally.__call__

    def counting(tally, result):
        if tally.frames in (1, 13, 34, 49):
            left[tally.frames] = folder / f"at-{tally.frames}"
            copy_living(folder / "out", left[tally.frames])
        return count(tally, result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tally, "__call__", counting)
        run(config, film, folder / "out")
    return Cut(config, content(folder / "out"), left)


def test_cut_off_at_any_moment_the_result_is_the_same_to_the_byte(cut, film, tmp_path):
    assert not [name for name in cut.whole if ".job" in name], "nothing is left behind"
    asked = []
    for at in cut.left:
        folder = cut.put_back(at, tmp_path / f"out{at}")
        job, _ = run(cut.config, film, folder)
        assert content(folder) == cut.whole, f"cut off at {at}"
        asked.append(job.pipeline.trunk.stages[1][1].work.pictures)
    assert [clips.read_index(clips.plane_array(f)) for f in clips.decoded(folder / "film.mp4")] == list(range(FRAMES))
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] <= 4, "the network is not asked again what it has answered"


def test_what_is_finished_is_neither_drawn_nor_encoded_again(cut, film, tmp_path, monkeypatch):
    folder = cut.put_back(49, tmp_path / "out")
    encoded, encode = [], Encoder.encode

    def counted(self, picture, frame):
        encoded.append(frame.index)
        return encode(self, picture, frame)

    drawn, draw = [], Compositor.__call__

    def counted_drawing(self, result):
        drawn.extend([result.frame.index] * bool(self._effects))
        return draw(self, result)

    monkeypatch.setattr(Encoder, "encode", counted)
    monkeypatch.setattr(Compositor, "__call__", counted_drawing)
    written = {path: path.stat().st_mtime_ns for path in (folder / "frames").glob("*.png")}
    run(cut.config, film, folder)
    again = [path.name for path, stamp in written.items() if path.stat().st_mtime_ns != stamp]
    assert min(encoded) >= 20, "up to four pictures wait before each output, and a part is ten"
    assert [index for index in drawn if 0 < index < 20] == []
    assert len(again) <= 8
    assert len(written) > 30


KEPT = ".film.mp4.job"
SPOILED = {
    "a part": [f"{KEPT}/picture/000001.packets"],
    "the log": [f"{KEPT}/done.jsonl"],
    "the answers": [f"{KEPT}/answers-0000.streamseg"],
    "an image": ["frames/0007.png"],
}
SPOILED["all at once"] = [name for names in SPOILED.values() for name in names]


def spoil(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(9))


@pytest.mark.parametrize("what", SPOILED)
def test_what_a_power_cut_has_spoiled_is_made_again(cut, film, tmp_path, what):
    folder = cut.put_back(34, tmp_path / "out")
    for name in SPOILED[what]:
        spoil(folder / name)
    run(cut.config, film, folder)
    assert content(folder) == cut.whole


def test_without_its_first_page_nothing_tells_that_the_outputs_are_ours(cut, film, tmp_path):
    folder = cut.put_back(34, tmp_path / "out")
    spoil(folder / KEPT / "job.json")
    with pytest.raises(OutputError, match="already exists"):
        run(cut.config, film, folder)
    run(cut.config, film, folder, overwrite=True)
    assert content(folder) == cut.whole


def test_ctrl_c_leaves_a_film_that_plays_and_goes_on(cut, film, tmp_path, monkeypatch):
    """Where the tracker looks both ways, so short a film is all under way at once."""
    config = cut.config.model_copy(update={"track": cut.config.track.model_copy(update={"online": True})})
    run(config, film, tmp_path / "whole")
    folder, count = tmp_path / "out", Tally.__call__
    job = ResumableRun(film, config, [str(folder / name) for name in OUTPUTS])

    def counting(tally, result):
        if tally.frames == 0:  # up to forty are under way: what the channels hold
            job.pipeline.runtime.interrupt(signal.SIGINT)
            assert job.pipeline.decoder._opener.stopped.wait(10)
        return count(tally, result)

    with monkeypatch.context() as patch:
        patch.setattr(Tally, "__call__", counting)
        report = job.run()
    assert report.interrupted
    assert 0 < report.frames_done < FRAMES
    assert len(clips.decoded(folder / "film.mp4")) == report.frames_done
    run(config, film, folder)
    assert content(folder) == content(tmp_path / "whole")


def test_a_film_that_is_looked_at_first_is_not_looked_at_twice(cut, film, tmp_path, monkeypatch):
    """`largest` is known when all is seen; cut off before the first picture is written, the network has answered all."""
    config = cut.config.model_copy(update={"select": cut.config.select.model_copy(update={"objects": "largest"})})
    run(config, film, tmp_path / "whole")
    folder, write = tmp_path / "out", VideoSink.__call__
    with monkeypatch.context() as patch:
        left = tmp_path / "left"
        patch.setattr(VideoSink, "__call__", lambda sink, rendered: left.exists() or copy_living(folder, left))
        with contextlib.suppress(OutputError):
            run(config, film, folder)
    assert VideoSink.__call__ is write
    asked = []
    submit = Infer.__call__
    monkeypatch.setattr(Infer, "__call__", lambda stage, item: (asked.append(item), submit(stage, item))[1])
    run(config, film, tmp_path / "left")
    assert len(asked) <= 4
    assert content(tmp_path / "left") == content(tmp_path / "whole")


def test_another_command_is_refused_and_told_what_differs(cut, make_config, film, tmp_path):
    folder = cut.put_back(34, tmp_path / "out")
    other = cut.config.model_copy(update={"postprocess": cut.config.postprocess.model_copy(update={"conf": 0.3})})
    with pytest.raises(OutputError, match=r"postprocess.conf was None, and is 0.3.*--overwrite to begin anew"):
        run(other, film, folder)
    changed = Path(shutil.copy(film, tmp_path / "changed.mkv"))
    changed.write_bytes(changed.read_bytes() + b"more")
    with pytest.raises(OutputError, match="the source has changed"):
        run(cut.config, changed, folder)
    _, said = run(make_config("outputs: {picture: {composite: [overlay]}}"), film, folder, OUTPUTS[:1], overwrite=True)
    assert not [line for line in said if "goes on" in line]
    assert len(clips.decoded(folder / "film.mp4")) == FRAMES


def test_the_source_may_have_been_moved(cut, film, tmp_path):
    folder = cut.put_back(34, tmp_path / "out")
    run(cut.config, Path(shutil.copy(film, tmp_path / "moved.mkv")), folder)
    assert content(folder)["film.mp4"] == cut.whole["film.mp4"]


def test_what_cannot_be_read_again_is_refused(make_config, film, tmp_path):
    config = make_config()
    for source, output, words in (
        ("-", "a.mp4", "only files and folders of images"),
        (iter([]), "a.mp4", "only files and folders of images"),
        (film, "-.mkv", "standard output"),
        (film, "http://127.0.0.1:0", "without a file"),
    ):
        with pytest.raises(ConfigError, match=words):
            ResumableRun(source, config, [output if output.startswith(("-", "http")) else str(tmp_path / output)])
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_leaves_nothing(make_config, film, tmp_path):
    (tmp_path / "film.mp4").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        run(make_config(), film, tmp_path, OUTPUTS[:1])
    assert content(tmp_path) == {"film.mp4": b"mine"}


def test_a_second_run_at_the_same_time_is_refused(make_config, film, tmp_path):
    config, outputs = make_config(), [str(tmp_path / "film.mp4")]
    first = ResumableRun(film, config, outputs)
    with pytest.raises(OutputError, match="another run"):
        ResumableRun(film, config, outputs)
    first.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_killed_at_ten_random_moments_the_result_is_the_same_to_the_byte(known, tmp_path):
    """With the command, and a signal that no process sees coming."""
    source = clips.with_subtitles(tmp_path / "film.mkv", 250)
    script = "import streamseg.jobs.progress as p; p.PART_SECONDS = 0.4; from streamseg.cli.main import main; main()"
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def command(folder: Path) -> list[str]:
        out = [part for name in OUTPUTS for part in ("-o", str(folder / name))]
        return [sys.executable, "-c", script, "run", str(source), "--model", str(known), "-p", "edit", "--resume", *out]

    began = time.monotonic()
    assert subprocess.run(command(whole), check=False, capture_output=True).returncode == 0
    length, kills = time.monotonic() - began, 0
    for number in range(40):
        process = subprocess.Popen(command(cut), stderr=subprocess.PIPE)
        try:
            process.wait(length * (0.2 + 0.07 * (number % 11)))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        _, said = process.communicate()
        if process.returncode in (0, 11):  # 11, it exists: the one before was killed when it had done all
            assert content(cut) == content(whole)
            shutil.rmtree(cut)
        else:
            assert process.returncode == -signal.SIGKILL, said
        if kills >= 10:
            break
    assert kills == 10
    assert subprocess.run(command(cut), check=False, capture_output=True).returncode == 0
    assert content(cut) == content(whole)


def test_other_edits_are_another_film(film, make_config, tmp_path):
    """The parts before the cut would show other objects than those behind it."""
    sidecar = tmp_path / "mine.json"
    config = make_config(f"select: {{edits: '{sidecar}'}}\noutputs: {{picture: {{composite: [overlay]}}}}")
    targets = plan(config.outputs, [str(tmp_path / "out.mp4")], film)
    asked = []
    for edits in (Edits().forbid(1), Edits().forbid(1), Edits().forbid(2)):
        edits.save(sidecar)
        asked.append(progress._asked(str(film), config, targets, tmp_path / ".out.job"))
    assert list(progress._differences(asked[0], asked[1])) == []
    assert list(progress._differences(asked[0], asked[2])) == ["the edits of its tracks have changed"]
