"""What Triton needs besides its package: it builds the code that launches kernels with the system's C compiler."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

__all__ = ["why_not_build"]

_COMPILERS = ("gcc", "clang")


def why_not_build() -> str | None:
    """Why Triton could not launch a kernel here, and what to install; None if it can. Does not import Triton."""
    if not os.environ.get("CC") and not any(shutil.which(name) for name in _COMPILERS):
        return "Triton needs a C compiler to launch kernels, and there is no gcc or clang; install one, or name it in CC"
    # As Triton asks for them: Debian's own scheme names a folder that holds none.
    scheme = sysconfig.get_default_scheme()
    folder = sysconfig.get_paths(scheme="posix_prefix" if scheme == "posix_local" else scheme)["include"]
    if not (Path(folder) / "Python.h").is_file():
        return f"Triton needs Python's headers to launch kernels, and there is no {folder}/Python.h; install python3-dev"
    return None
