"""Whether Triton can launch kernels on this machine, said before it fails to."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import pytest

from streamseg.device.toolchain import why_not_build


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/clang" if name == "clang" else None)
    monkeypatch.setattr(sysconfig, "get_paths", lambda **_: {"include": str(tmp_path)})
    (tmp_path / "Python.h").touch()
    return tmp_path / "Python.h"


def test_a_compiler_and_headers_are_enough(headers: Path) -> None:
    assert headers.is_file()
    assert why_not_build() is None


def test_a_missing_compiler_is_named(headers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert "no gcc or clang; install one, or name it in CC" in str(why_not_build())
    monkeypatch.setenv("CC", "/opt/bin/icx")
    assert why_not_build() is None


def test_missing_headers_are_named(headers: Path) -> None:
    headers.unlink()
    assert f"no {headers}; install python3-dev" in str(why_not_build())
