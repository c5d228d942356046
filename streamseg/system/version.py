"""Which streamseg this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_version"]


def installed_version() -> str:
    """As the installation says; 0.0.0 of a checkout on the path that is not installed."""
    try:
        return version("streamseg")
    except PackageNotFoundError:
        return "0.0.0"
