"""Which films a folder, a glob or a list means, and what each is called."""

import os
from pathlib import Path

import pytest

from streamseg.config.load import load_pipeline
from streamseg.errors import ConfigError, SourceError, SourceNotFound
from streamseg.jobs.films import Film, find_films, means_films
from streamseg.jobs.places import folder_of, outputs_of
from streamseg.pipeline.outputs import plan


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def names(*sources: object, leave_out: tuple[Path, ...] = ()) -> list[str]:
    return [film.name for film in find_films([str(s) for s in sources], leave_out)]


def test_a_folder_of_films_is_a_job_in_natural_order_with_its_subfolders(tmp_path):
    lay(tmp_path, "take10.mov", "take2.mov", "day2/a.MP4", "day2/shot/1.png", "day2/shot/2.png", "notes.txt", ".hidden.mp4")
    lay(tmp_path, ".trash/b.mp4", "._take2.mov")
    assert means_films([str(tmp_path)])
    assert names(tmp_path) == ["take2", "take10", "day2/a", "day2/shot"]


def test_a_folder_of_images_stays_one_film(tmp_path):
    lay(tmp_path, "1.png", "2.png", "sub/a.mp4")
    assert not means_films([str(tmp_path)])
    assert not means_films([str(tmp_path / "*.png")])
    assert not means_films([str(tmp_path / "sub/a.mp4")])
    assert not means_films(["0"])
    assert not means_films(["rtsp://camera/main"])


def test_who_has_both_is_asked(tmp_path):
    lay(tmp_path, "a.mp4", "1.png", "2.png")
    with pytest.raises(ConfigError, match=r"2 images and 1 video; say which are meant: '.*/\*.mp4' for the films"):
        means_films([str(tmp_path)])
    with pytest.raises(ConfigError, match="1 video and 2 images"):
        means_films([str(tmp_path / "*")])
    with pytest.raises(ConfigError, match="name the films"):
        find_films([str(tmp_path.parent)])


def test_what_two_films_share_but_the_ending_keeps_it(tmp_path):
    lay(tmp_path, "a.mov", "a.mpg", "b.mov")
    assert names(tmp_path) == ["a.mov", "a.mpg", "b"]


def test_globs_lists_and_several_names(tmp_path):
    lay(tmp_path, "x/a.mp4", "x/b.mp4", "y/a.mp4")
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf# Monday\r\nx/a.mp4\r\n\r\ny/*.mp4\r\nx/a.mp4\r\n")
    assert names(tmp_path / "**/*.mp4") == ["x/a", "x/b", "y/a"]
    assert names(f"@{tmp_path / 'list.txt'}") == ["x/a", "y/a"]
    assert names(tmp_path / "x/a.mp4", tmp_path / "x/b.mp4") == ["a", "b"]
    assert names(tmp_path / "x", tmp_path / "gone.mov") == ["x/a", "x/b", "gone"]


def test_outputs_are_no_sources_and_links_end(tmp_path):
    lay(tmp_path, "a.mp4", "out/a.mp4", "a.seen.mp4")
    os.symlink(tmp_path, tmp_path / "loop")
    assert names(tmp_path, leave_out=(tmp_path / "out", tmp_path / "a.seen.mp4")) == ["a"]


def test_what_a_job_cannot_have(tmp_path):
    with pytest.raises(SourceError, match="run this one by itself"):
        find_films(["a.mp4", "rtsp://camera/main"])
    with pytest.raises(SourceNotFound, match="no film"):
        find_films([str(tmp_path)])
    with pytest.raises(SourceNotFound, match="list cannot be read"):
        find_films([f"@{tmp_path / 'none.txt'}"])
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(SourceNotFound, match="is empty"):
        find_films([f"@{tmp_path / 'list.txt'}"])


def test_stem_and_name_stand_for_the_film(tmp_path: Path) -> None:
    config = load_pipeline("drive")
    film = Film(tmp_path / "b.mov", "day/b")
    for text in ("{name}", "{stem}"):
        assert outputs_of(film, config, [f"out/{text}.mkv"]) == ["out/day/b.mkv"]
        assert folder_of([f"out/{text}.mkv"]) == Path("out")
        assert [each.path for each in plan(config.outputs, [f"out/{text}.mkv"], "films/b.mov")] == ["out/b.mkv"]
