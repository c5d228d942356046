"""The first inputs of every campaign of `make fuzz`: nothing but StreamsegError leaves, nothing crashes, hangs or grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import summary
from tests.fuzz.campaign import Campaign
from tests.fuzz.parts import NAMES

COUNTS = {
    "media": 400,
    "addresses": 150,
    "pipelines": 200,
    "models": 150,
    "manifests": 200,
    "annotations": 300,
    "records": 200,
    "memory": 8,
}
"""Of inputs; all together take less than a minute."""


def test_every_part_has_its_share() -> None:
    assert tuple(COUNTS) == NAMES


@pytest.mark.timeout(600)  # under a minute all together, but on a busy machine
@pytest.mark.parametrize("part", COUNTS)
def test_the_first_inputs_of_a_campaign(part: str, tmp_path: Path) -> None:
    campaign = Campaign(part, 1, tmp_path / "work", Path("build/fuzz"))
    totals = campaign.run(0, COUNTS[part])
    assert totals.inputs == COUNTS[part]
    assert not totals.kinds, summary(part, 1, totals)
    assert len(totals.outcomes) > 1, "the inputs all end in the same way: they test little"


@pytest.mark.timeout(600)
def test_what_is_wrong_is_found_singled_out_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign must see a crash, a hang, an error of another kind, and memory that grows."""
    monkeypatch.setattr("tests.fuzz.campaign.HANG", 2.7)
    campaign = Campaign("faulty", 1, tmp_path / "work", tmp_path / "kept", say=lambda line: None)
    totals = campaign.run(0, 12)
    assert totals.inputs == 12
    kinds = {finding.index: finding.kind for finding in totals.findings}
    assert kinds == {
        2: "ValueError in faulty.py:run",
        4: "crash, exit status -6",
        6: "hang",
        8: "threads",
        10: "MemoryError in faulty.py:run",
    }
    for finding in totals.findings:
        assert finding.path is not None
        assert (finding.path / "input.txt").read_text() == str(finding.index)
        assert finding.command in (finding.path / "why.txt").read_text()
