from __future__ import annotations

import re

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import importlib
import importlib.util
import subprocess
import sys

import streamseg.networks
from streamseg.errors import MissingExtra
from streamseg.errors.extras import how_to_install


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=re.escape(how_to_install("train"))):
        importlib.reload(streamseg.networks)


def test_the_light_base_imports_no_torch() -> None:
    code = "import sys, streamseg, streamseg.cli.main; sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
