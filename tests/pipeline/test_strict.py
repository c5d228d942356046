"""--strict: what is otherwise a warning is an error, before the run where it is known by then."""

from pathlib import Path

import pytest

import streamseg
from streamseg.cli.main import main
from streamseg.errors import NotKept
from tests import clips, graphs


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.constant_model(tmp_path_factory.mktemp("model") / "known.onnx")


def test_what_cannot_be_kept_is_an_error_and_the_film_is_there(tmp_path: Path, model: Path) -> None:
    """.ts holds no texts."""
    source, out = clips.with_subtitles(tmp_path / "a.mkv"), tmp_path / "out.ts"
    loose = streamseg.run(source, out, model=model)
    assert loose.all_warnings
    with pytest.raises(NotKept, match="strict=True: ") as raised:
        streamseg.run(source, out, model=model, strict=True, overwrite=True)
    assert all(text in str(raised.value) for text in loose.all_warnings)
    assert len(clips.decoded(out)) == 45


def test_what_is_kept_passes(tmp_path: Path, model: Path) -> None:
    report = streamseg.run(clips.cfr(tmp_path / "a.mp4", 6), tmp_path / "b.mp4", model=model, strict=True)
    assert (report.frames_done, report.all_warnings) == (6, ())


def test_the_shell_ends_with_its_own_code(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    source, out = clips.with_subtitles(tmp_path / "a.mkv"), tmp_path / "b.ts"
    monkeypatch.setattr("sys.argv", ["streamseg", "run", *map(str, (source, "-o", out, "--model", model, "--strict"))])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == NotKept.exit_code == 20
    assert "--strict: " in capfd.readouterr().err


def test_a_pipeline_file_can_ask_for_it(tmp_path: Path, model: Path) -> None:
    pipeline = {"strict": True, "infer": {"model": str(model)}}
    with pytest.raises(NotKept):
        streamseg.run(clips.with_subtitles(tmp_path / "a.mkv"), tmp_path / "out.ts", pipeline=pipeline)
