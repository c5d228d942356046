"""The unit and the container file: what they name is there, and systemd's own check finds nothing."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from streamseg.cli.main import app

PACKAGING = Path(__file__).parents[4] / "packaging"


def flags() -> set[str]:
    live = get_command(app).commands["live"]  # type: ignore[attr-defined]
    return {name for parameter in live.params for name in parameter.opts}


def test_the_unit_starts_what_there_is_and_asks_for_signs_of_life() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(PACKAGING / "streamseg.service")
    service = unit["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 30
    for line in (service["ExecStart"], service["ExecStartPre"]):
        program, verb, *rest = line.split()
        assert (Path(program).name, verb) == ("streamseg", "live")
        assert {word for word in rest if word.startswith("-")} <= flags()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, of Debian's package systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    text = (PACKAGING / "streamseg.service").read_text()
    unit = tmp_path / "streamseg.service"
    unit.write_text(re.sub(r"/opt/streamseg/bin/streamseg", "/bin/true", text))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_the_container_copies_is_there_and_what_it_runs_is_known() -> None:
    text = (PACKAGING / "Containerfile").read_text().replace("\\\n", " ")
    instructions = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    known = {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert {name for name, _ in instructions} <= known
    copied = [words for name, words in instructions if name == "COPY" and "--from" not in words]
    for words in copied:
        for source in words.split()[:-1]:
            assert (PACKAGING.parent / source).exists(), source
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", text)
    project = (PACKAGING.parent / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras.split(","))
    assert [words for name, words in instructions if name == "USER"] == ["10001"]
