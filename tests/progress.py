"""Notes of what a process of pytest has done, so that another one can go on where it stood still (see `tests.__main__`)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOTES = "STREAMSEG_TESTS_NOTES"
"""The file's name, in the environment."""


def _note(text: str) -> None:
    if path := os.environ.get(NOTES):
        with Path(path).open("a") as file:
            file.write(text + "\n")


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    _note(f"begin {nodeid}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One of its three steps has ended."""
    if report.failed:
        _note(f"failed {report.nodeid}")


def pytest_runtest_logfinish(nodeid: str) -> None:
    """It has ended."""
    _note(f"end {nodeid}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what an earlier process has done."""
    if not (path := os.environ.get(NOTES)) or not Path(path).is_file():
        return
    lines = [line.partition(" ") for line in Path(path).read_text().splitlines()]
    done = {name for kind, _, name in lines if kind == "end"} - {name for kind, _, name in lines if kind == "failed"}
    if done:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in done])
        items[:] = [item for item in items if item.nodeid not in done]
