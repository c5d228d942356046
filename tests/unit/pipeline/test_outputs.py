"""What -o means, put together with a pipeline's outputs."""

import os
from pathlib import Path

import pytest

from streamseg.config import load_pipeline
from streamseg.encode import check_output
from streamseg.errors import ConfigError, OutputError, OutputIsInput
from streamseg.pipeline.configure import configure
from streamseg.pipeline.options import in_shell
from streamseg.pipeline.outputs import plan


def paths(pipeline, *given, source="films/walk.mkv"):
    return {target.name: target.path for target in plan(load_pipeline(pipeline).outputs, given, source)}


def test_the_first_path_fills_the_pipeline():
    assert paths("drive", "a.mp4") == {"picture": "a.mp4"}
    assert paths("edit", "x/a.mp4") == {"picture": "x/a.mp4", "alpha": "x/a.alpha.mov"}
    assert paths("live", "a.mp4") == {"record": "a.mp4", "view": "http://127.0.0.1:8080"}


def test_a_pattern_has_its_folder_as_stem():
    assert paths("edit", "x/%06d.png") == {"picture": "x/%06d.png", "alpha": "x.alpha.mov"}


def test_live_can_be_watched_without_being_recorded():
    assert paths("live") == {"view": "http://127.0.0.1:8080"}


def test_named_outputs():
    assert paths("edit", "a.mp4", "alpha=m/%06d.png") == {"picture": "a.mp4", "alpha": "m/%06d.png"}
    assert paths("edit", "a.mp4", "alpha=none") == {"picture": "a.mp4"}
    assert paths("edit", "alpha=only.mov") == {"alpha": "only.mov"}
    assert paths("live", "view=http://127.0.0.1:9000") == {"view": "http://127.0.0.1:9000"}


def test_more_paths_get_the_same_picture_and_jsonl_the_results():
    targets = plan(load_pipeline("drive").outputs, ["a.mp4", "b.mkv", "c.jsonl"])
    assert [t.path for t in targets] == ["a.mp4", "b.mkv", "c.jsonl"]
    assert targets[0].composite == targets[1].composite != ()
    assert targets[2].composite == ()


def test_results_only_draw_nothing():
    assert [t.path for t in plan(load_pipeline("drive").outputs, ["r.jsonl"])] == ["r.jsonl"]
    assert [t.path for t in plan(load_pipeline("edit").outputs, ["r.jsonl"])] == ["r.jsonl"]


def test_an_equals_sign_in_a_folder_is_not_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run=1").mkdir()
    assert paths("drive", "run=1/a.mp4") == {"picture": "run=1/a.mp4"}
    assert paths("drive", "./lr=2/a.mp4") == {"picture": "./lr=2/a.mp4"}
    assert paths("drive", "x/lr=2/a.mp4") == {"picture": "x/lr=2/a.mp4"}


def test_without_any_output_it_says_what_to_do():
    with pytest.raises(ConfigError, match="say where with -o"):
        paths("drive")


def test_unknown_names_are_answered():
    with pytest.raises(ConfigError, match="no output 'mask'; its outputs are: picture, alpha, matte"):
        paths("edit", "a.mp4", "mask=m.mov")
    with pytest.raises(
        ConfigError, match=r"no output 'alfa'.*, alpha, matte; write \./alfa=cut/%06d\.png if a folder is called so"
    ):
        paths("edit", "a.mp4", "alfa=cut/%06d.png")


@pytest.mark.parametrize("second", ["picture=l.mp4", "picture=k.mp4", "picture=none"])
def test_an_output_is_named_once(second):
    with pytest.raises(ConfigError, match=f"-o {second}: the output 'picture' is given twice, as k.mp4, too"):
        paths("drive", "picture=k.mp4", second)


def test_beside_an_address_lies_nothing():
    sentence = r"http://127\.0\.0\.1:80 has no name to put NAME\.alpha\.mov beside; say where with -o alpha=PATH"
    with pytest.raises(ConfigError, match=sentence):
        paths("edit", "http://127.0.0.1:80")
    both = {"picture": "http://127.0.0.1:80", "alpha": "a.mov"}
    assert paths("edit", "http://127.0.0.1:80", "alpha=a.mov") == both


@pytest.mark.parametrize("given", ["/dev/null", "/dev/null/", "/dev/full", "picture=/dev/null", "pipe"])
def test_a_device_holds_no_folder(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(OutputError, match=r"this is a device or a pipe, which .*: -o -\.mkv > (/dev/(null|full)|pipe)$"):
        paths("drive", given)


def test_a_file_holds_no_film(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notes").touch()
    with pytest.raises(OutputError, match=r"^notes: this is a file, so that nothing can be put into it; name a folder"):
        paths("drive", "notes")


def test_none_leaves_out_an_output_that_is_named():
    with pytest.raises(ConfigError, match=r"as NAME=none \(its outputs are: picture, alpha, matte\), or write \./none if"):
        paths("edit", "none")
    assert paths("drive", "./none") == {"picture": "none/walk.mkv"}


@pytest.mark.parametrize(
    "given",
    [
        ("edit", "a.mp4", "alpha=./a.mp4"),
        ("drive", "a.mp4", "a.mp4"),
        ("drive", "a.mp4", "b.mkv", "b.mkv"),
        ("drive", "r.jsonl", "r.jsonl"),
        ("drive", "a.mp4", "x/../a.mp4"),
        ("drive", "a.mp4", "file://{here}/a.mp4"),
        ("drive", "a.mp4", "link.mp4"),
        ("drive", "b.mp4", "hard.mp4"),
        ("drive", "x/a.mp4", "beside/a.mp4"),
        ("edit", "a.mp4", "a.alpha.mov"),
        ("drive", "-.mkv", "-.ts"),
    ],
)
def test_two_outputs_never_share_a_file(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    Path("link.mp4").symlink_to("a.mp4")
    Path("beside").symlink_to("x")
    Path("b.mp4").touch()
    Path("hard.mp4").hardlink_to("b.mp4")
    with pytest.raises(ConfigError, match=r"give '\w+' and '\w+' each its own name: both would write "):
        paths(*(text.replace("{here}", str(tmp_path)) for text in given))


def test_a_view_that_the_pipeline_has_may_be_named():
    both = {"record": "a.mp4", "view": "http://127.0.0.1:8080"}
    assert paths("live", "a.mp4", "http://127.0.0.1:8080") == paths("live", "http://127.0.0.1:8080", "a.mp4") == both


def test_a_home_and_a_file_address_are_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert paths("edit", "~/a.mp4", "alpha=~/cut/%06d.png") == {"picture": "/home/ann/a.mp4", "alpha": "/home/ann/cut/%06d.png"}
    assert paths("drive", "file:///tmp/a%20b.mp4") == {"picture": "/tmp/a b.mp4"}
    assert paths("drive", "./~/a.mp4") == {"picture": "./~/a.mp4"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("--overwrite", r"-o --overwrite: a name is missing behind -o; write \./--overwrite if the folder is really called so"),
        ("-q", "a name is missing behind -o"),
        (".mp4", r"\.mp4: this is an ending without a name; write out\.mp4, or \.mp4/ if a folder is called so"),
        ("x/.jsonl", r"write out\.jsonl"),
        (".png", r"write out\.png"),
    ],
)
def test_what_was_not_meant_as_a_name_is_refused(given, sentence):
    with pytest.raises(OutputError, match=sentence):
        paths("drive", given)


def test_names_that_only_look_odd_are_names():
    assert paths("drive", "-dash.mp4", "x-dash.mkv", "./-q") == {
        "picture": "-dash.mp4",
        "output1": "x-dash.mkv",
        "output2": "-q/walk.mkv",
    }


@pytest.mark.parametrize(
    "address", ["ftp://ann:secret@host/x.mp4", "s3://bucket/r.jsonl", "https://host/%06d.png", "icecast://host:1"]
)
def test_an_address_is_no_folder(address):
    with pytest.raises(OutputError, match=r"cannot write to \w+://; write a file, .*ffmpeg -i - -c copy ADDRESS") as caught:
        check_output(address, overwrite=False, source="in.mp4")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("output", ["link.mp4", "hard.mp4", "x/../in.mp4", "beside/in.mp4"])
def test_an_output_is_never_the_source_however_it_is_written(output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    Path("in.mp4").touch()
    Path("link.mp4").symlink_to("in.mp4")
    Path("beside").symlink_to(".")
    Path("hard.mp4").hardlink_to("in.mp4")
    with pytest.raises(OutputIsInput, match="this is the source itself"):
        check_output(output, overwrite=True, source="in.mp4")


@pytest.mark.parametrize("empty", ["", "alpha="])
def test_empty_paths_are_refused(empty):
    with pytest.raises(ConfigError, match="names no file"):
        paths("edit", "a.mp4", empty)


@pytest.mark.parametrize(
    ("source", "film"),
    [
        ("films/walk.mkv", "walk.mkv"),
        ("walk.MP4", "walk.mp4"),
        (Path("films/a.b.webm"), "a.b.webm"),
        ("walk.mpg", "walk.mp4"),
        ("walk", "walk.mp4"),
        ("shots/%04d.png", "shots.mp4"),
        ("shots/*.jpg", "shots.mp4"),
        ("shots/one.png", "shots.mp4"),
        ("rtsp://ann:secret@cam.local/main?token=1", "main.mp4"),
        ("http://cam.local:8000/", "cam.local.mp4"),
        ("https://host/a%20b.mov?sig=x", "a b.mov"),
        ("0", "camera0.mp4"),
        (2, "camera2.mp4"),
        ("-", "stdin.mp4"),
    ],
)
def test_a_folder_means_the_film_of_its_own_name(source, film):
    assert paths("drive", "b/outdir/", source=source) == {"picture": f"b/outdir/{film}"}


def test_a_folder_is_a_folder_with_and_without_a_slash(tmp_path):
    (tmp_path / "there.d").mkdir()
    assert paths("drive", f"{tmp_path}/there.d") == {"picture": f"{tmp_path}/there.d/walk.mkv"}
    assert paths("drive", f"{tmp_path}/there.d/") == {"picture": f"{tmp_path}/there.d/walk.mkv"}
    assert paths("drive", f"{tmp_path}/new") == {"picture": f"{tmp_path}/new/walk.mkv"}
    assert paths("drive", ".") == {"picture": "walk.mkv"}


def test_beside_a_film_in_a_folder_lies_its_alpha():
    assert paths("edit", "out/") == {"picture": "out/walk.mkv", "alpha": "out/walk.alpha.mov"}
    assert paths("edit", "out/", source="walk.mp4")["picture"] == "out/walk.mp4"
    assert paths("edit", "a.mp4", "alpha=cut/", source="walk.mp4")["alpha"] == "cut/walk.mov"
    assert paths("edit", "a.mp4", "alpha=cut/", source="walk.mkv")["alpha"] == "cut/walk.mkv"


def test_images_are_asked_for_by_a_pattern():
    assert paths("drive", "out/*.png") == {"picture": "out/%06d.png"}
    assert paths("drive", "out/%04d.tif") == {"picture": "out/%04d.tif"}
    assert paths("edit", "x/*.png") == {"picture": "x/%06d.png", "alpha": "x.alpha.mov"}


def test_beside_a_still_lies_a_still():
    assert paths("edit", "x/soft.png", source="photo.jpg") == {"picture": "x/soft.png", "alpha": "x/soft.alpha.png"}
    assert paths("edit", "soft.jpg", source="photo.jpg") == {"picture": "soft.jpg", "alpha": "soft.alpha.png"}
    assert paths("edit", "soft.webp", "alpha=cut.tif", source="photo.jpg") == {"picture": "soft.webp", "alpha": "cut.tif"}


def test_folders_of_results_are_no_films():
    assert paths("drive", "a.mp4", "out.mots/") == {"picture": "a.mp4", "results1": "out.mots/"}


def test_an_exr_has_the_sources_picture_unless_an_output_is_named():
    targets = plan(load_pipeline("edit").outputs, ["soft.mp4", "shot/%06d.exr"])
    assert {t.path: bool(t.composite) for t in targets} == {"soft.mp4": True, "soft.alpha.mov": True, "shot/%06d.exr": False}
    assert [(t.path, t.composite) for t in plan(load_pipeline("edit").outputs, ["shot/%06d.exr"])] == [("shot/%06d.exr", ())]
    named = plan(load_pipeline("edit").outputs, ["picture=shot/%06d.exr", "alpha=none"])
    assert [t.composite != () for t in named] == [True]


@pytest.mark.parametrize("given", ["light: display, ranks: 2", {"light": "display", "ranks": 2}])
def test_what_an_exr_holds_is_told_in_a_line(given):
    config = configure({"pipeline": "edit", "exr": given})
    targets = plan(config.outputs, ["soft.mp4", "shot/%06d.exr"])
    options = {t.path: (t.encode.exr.light, t.encode.exr.ranks) for t in targets}
    assert options == {"soft.mp4": ("display", 2), "soft.alpha.mov": ("linear", 6), "shot/%06d.exr": ("display", 2)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ranks: 3", "--exr: .*even number from 2 to 16"),
        ("rankz: 4", "--exr: rankz: unknown key; did you mean 'ranks'"),
        ("light", "--exr: 'light' cannot be read; write as"),
        ("light: log", "--exr: light: 'log' is not allowed; allowed: 'linear' or 'display'"),
    ],
)
def test_what_an_exr_cannot_hold_is_said_with_the_option(given, words):
    with pytest.raises(ConfigError, match=words):
        configure({"exr": given}, in_shell)


@pytest.mark.parametrize(
    "given", ["kinds: [alert, cut_in], before: 3s, limit: 2GB", {"kinds": "alert,cut_in", "before": 3, "limit": 2e9}]
)
def test_what_clips_hold_is_told_in_a_line(given):
    config = configure({"clips": given, "key_rate": 1})
    (target,) = plan(config.outputs, ["drive.clips"])
    clips = target.encode.clips.noun
    assert (clips.kinds, clips.before, clips.after, clips.limit) == (("alert", "cut_in"), 3.0, 5.0, 2_000_000_000)
    assert target.encode.key_rate == 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"clips": "kinds: [alarm]"}, "--clips: kinds: 'alarm' is no kind of event; did you mean 'alert'"),
        ({"clips": "kinds: earthquake"}, "--clips: kinds: 'earthquake' is no kind of event; allowed: auto, all, count, cross"),
        ({"clips": "alert"}, "--clips: 'alert' cannot be read; write as 'kinds:"),
        ({"clips": "longest: 0"}, "--clips: .*greater than 0"),
        ({"key_rate": 0}, "--key-rate: .*greater than 0"),
    ],
)
def test_what_clips_cannot_hold_is_said_with_the_option(given, words):
    with pytest.raises(ConfigError, match=words):
        configure(given, in_shell)


def test_effects_that_are_asked_for_are_drawn_into_an_exr_too():
    config = configure({"pipeline": "edit", "effects": "pixelate"})
    (target,) = plan(config.outputs, ["shot/%06d.exr"])
    assert [effect.name for effect in target.effects] == ["pixelate"]


def test_a_results_file_is_no_output():
    with pytest.raises(OutputError, match=r"kept beside an output, not in place of one; say --results film\.streamseg"):
        plan({}, ["film.streamseg"])


@pytest.mark.parametrize("path", ["m.{trak}.mkv", "{clas}/%06d.png", "{nmae}.mp4"])
def test_a_mistyped_placeholder_is_no_file_name(path: str) -> None:
    with pytest.raises(OutputError, match=r"is no placeholder; did you mean '(track|class|name)'"):
        plan({}, [path])


def test_braces_may_stand_in_a_name() -> None:
    assert plan({}, ["a{1}.mp4", "take {blue}.mp4"])[0].path == "a{1}.mp4"
