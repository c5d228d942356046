"""The command line: what it prints, where it writes, and its exit codes. No traceback reaches a user without --debug."""

import json
import subprocess
import sys

import av
import pytest

from tests import clips, interlaced_clips


def in_a_shell(*arguments, **more):
    command = [sys.executable, "-m", "streamseg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.cfr(tmp_path_factory.mktemp("clip") / "a.mp4", 12, audio=True)


def test_run_writes_and_says_what_it_saw(streamseg, clip, known, tmp_path):
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "o.mp4", "-o", tmp_path / "o.jsonl")
    assert done.returncode == 0, done.stderr
    assert "12 frames" in done.stderr
    assert "seen: 1 person" in done.stderr
    assert done.stdout == ""
    assert len(clips.decoded(tmp_path / "o.mp4")) == 12
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert lines[0]["schema"].startswith("streamseg.results/")
    assert [line["frame"] for line in lines[1:] if "event" not in line] == list(range(12))


def test_quiet_and_json(streamseg, clip, known, tmp_path):
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "o.mp4", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "o.mp4", "--json", "--overwrite")
    assert json.loads(done.stdout)["frames_done"] == 12


def test_a_pipe_is_a_source(clip, known, tmp_path):
    with clip.open("rb") as stdin:
        done = in_a_shell("run", "-", "--model", known, "-o", tmp_path / "o.mkv", stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert len(clips.decoded(tmp_path / "o.mkv")) == 12


def test_images_are_a_source(streamseg, known, tmp_path):
    folder = clips.image_folder(tmp_path / "in", 11)
    done = streamseg("run", folder, "--model", known, "-o", tmp_path / "o.mp4", "--rate", 10)
    assert done.returncode == 0, done.stderr
    frames = clips.decoded(tmp_path / "o.mp4")
    assert [clips.read_index(clips.plane_array(frame)) for frame in frames] == list(range(11))
    assert frames[10].time == pytest.approx(1.0)


def test_one_photo_in_one_photo_out(streamseg, known, tmp_path):
    photo = clips.save_image(tmp_path / "photo.png", 7)
    out = ["-o", tmp_path / "soft.png", "-o", tmp_path / "again.webp", "-o", tmp_path / "r.jsonl"]
    done = streamseg("run", photo, "--model", known, "-p", "edit", *out)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.webp", "photo.png", "r.jsonl", "soft.alpha.png", "soft.png"]
    alpha = next(av.open(str(tmp_path / "soft.alpha.png")).decode(video=0))
    assert alpha.format.name == "rgba"
    levels = alpha.to_ndarray()[..., 3]
    assert (levels.min(), levels.max()) == (0, 255)
    done = streamseg("run", photo, "--model", known, "-o", photo, "--overwrite")
    assert done.returncode == 12, done.stderr


def test_a_film_is_no_photo(streamseg, clip, known, tmp_path):
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "one.png")
    assert done.returncode == 10
    assert "name images by a pattern with one number, such as frames/%06d.png" in done.stderr


def test_codec_and_crf_speak_of_what_o_names(streamseg, clip, known, tmp_path):
    done = streamseg(
        "run", clip, "--model", known, "-p", "edit", "-o", tmp_path / "o.mkv", "--codec", "ffv1", "--classes", "person"
    )
    assert done.returncode == 0, done.stderr
    done = streamseg("probe", tmp_path / "o.mkv", "--json")
    assert json.loads(done.stdout)["streams"][0]["codec"] == "ffv1"
    assert "prores" in streamseg("probe", tmp_path / "o.alpha.mov", "--json").stdout


@pytest.mark.parametrize(("audio", "sounds"), [("convert", ["opus"]), ("copy", []), ("none", [])])
def test_audio_speaks_of_every_output(audio, sounds, streamseg, clip, known, tmp_path):
    """AAC has no place in WebM."""
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "o.webm", "--audio", audio)
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "o.webm")) as container:
        assert [s.codec_context.name for s in container.streams.audio] == sounds
    assert ("converted to opus" in done.stderr, "left out" in done.stderr) == (audio == "convert", audio == "copy")


def test_end_is_where_duration_leads(streamseg, clip, known, tmp_path):
    """25 frames a second: frames 3 to 7 are those from 0.12 s up to 0.32 s."""
    for name, span in (("end", ["--end", "320ms"]), ("duration", ["--duration", "0.2"])):
        done = streamseg("run", clip, "--model", known, "--start", "120ms", *span, "-o", tmp_path / f"{name}.mp4")
        assert done.returncode == 0, done.stderr
    frames = [
        [clips.read_index(clips.plane_array(f)) for f in clips.decoded(tmp_path / f"{n}.mp4")] for n in ("end", "duration")
    ]
    assert frames == [[3, 4, 5, 6, 7]] * 2


def test_classes_that_are_left_out_are_named(streamseg, clip, known, tmp_path):
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "o.jsonl")
    assert "(not cat, dog: --classes all)" in done.stderr
    done = streamseg("run", clip, "--model", known, "-o", tmp_path / "p.jsonl", "--classes", "person")
    assert "--classes all" not in done.stderr


@pytest.mark.parametrize(("asked", "frames"), [([], 6), (["field"], 12)])
def test_deinterlace_alone_means_one_of_each(streamseg, known, tmp_path, asked, frames):
    source = interlaced_clips.write(tmp_path / "a.mp4")
    done = streamseg("run", source, "--model", known, "-o", tmp_path / "o.mp4", "--deinterlace", *asked, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert interlaced_clips.orders(tmp_path / "o.mp4") == [None] * frames


def test_without_a_word_interlaced_stays_interlaced(streamseg, known, tmp_path):
    source = interlaced_clips.write(tmp_path / "a.mkv", "ffv1", "bff")
    done = streamseg("run", source, "--model", known, "-o", tmp_path / "o.mp4")
    assert (done.returncode, "warning" in done.stderr) == (0, False)
    assert interlaced_clips.orders(tmp_path / "o.mp4") == ["bff"] * 6
    assert "interlaced, bottom field first" in streamseg("probe", source).stdout


def test_flags_show_no_value(streamseg):
    for verb in (["run"], ["train"], ["engines", "prune"], []):
        assert "<bool>" not in streamseg(*verb, "--help").stdout


@pytest.mark.parametrize(
    "verb", [["--help"], ["run", "--help"], ["probe", "--help"], ["--version"], ["models"], ["doctor", "--json"]]
)
def test_it_explains_itself(streamseg, verb):
    done = streamseg(*verb)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


WRONG = {
    "no such file": (["run", "{tmp}/none.mp4", "-o", "{tmp}/o.mp4"], 5, "none.mp4"),
    "not a video": (["run", "{tmp}/text.mp4", "-o", "{tmp}/o.mp4"], 6, "text.mp4"),
    "no output": (["run", "{clip}"], 3, "say where with -o"),
    "unknown suffix": (["run", "{clip}", "-o", "{tmp}/o.xyz"], 10, "allowed: video"),
    "output exists": (["run", "{clip}", "-o", "{tmp}/text.mp4"], 11, "--overwrite"),
    "output is input": (["run", "{clip}", "-o", "{clip}", "--overwrite"], 12, "source"),
    "unknown pipeline": (["run", "{clip}", "-o", "{tmp}/o.mp4", "-p", "drvie"], 3, "known: drive, edit, live"),
    "unknown class": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--classes", "persn"], 3, "person"),
    "bad conf": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--conf", "5"], 3, "less than or equal to 1"),
    "unknown engine": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--engine", "cuda"], 3, "openvino"),
    "absent engine": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--engine", "tensorrt"], 15, "tensorrt"),
    "no model": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--model", "{tmp}/no.onnx"], 13, "no.onnx"),
    "foreign model": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--model", "{tmp}/text.onnx"], 13, "text.onnx"),
    "two ends": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--end", "1s", "--duration", "2s"], 3, "give one of them"),
    "end before start": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--start", "2s", "--end", "1s"], 3, "must be after the start"),
    "bad time": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--start", "soon"], 3, "not a time"),
    "unknown option": (["run", "{clip}", "--colour", "red"], 2, "colour"),
    "one file twice": (["run", "{clip}", "-o", "{tmp}/o.mp4", "-o", "{tmp}/o.mp4"], 3, "each its own name"),
    "an option for a name": (["run", "{clip}", "-o", "--overwrite"], 10, "a name is missing behind -o"),
    "unknown codec": (["run", "{clip}", "-o", "{tmp}/o.mp4", "--codec", "h999"], 10, "h999"),
    "unknown verb": (["ruin"], 2, "ruin"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_a_clear_answer(streamseg, case, clip, known, tmp_path):
    arguments, code, message = WRONG[case]
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "text.onnx").write_text("not a model")
    arguments = [a.format(tmp=tmp_path, clip=clip) for a in arguments]
    if arguments[0] == "run" and "--model" not in arguments:
        arguments += ["--model", str(known)]
    done = streamseg(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.mp4").exists()
    assert (tmp_path / "text.mp4").read_text() == "not a video"


def test_a_source_that_begins_with_a_dash_is_found_in_the_options(streamseg, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a.mp4").touch()
    done = streamseg("run", "-a.mp4", "-o", "o.mp4")
    assert done.returncode == 2
    assert "the file of that name is written ./-a.mp4" in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path):
    for arguments in (["--debug", "run"], ["run", "--debug"]):
        done = in_a_shell(*arguments, tmp_path / "none.mp4", "-o", tmp_path / "o.mp4")
        assert "Traceback" in done.stderr
        assert done.returncode != 0
