"""The section `metrics` of cameras.yaml: a port of its own for figures and health, where there is no page."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from streamseg.config.section import Section

__all__ = ["MetricsConfig"]


class MetricsConfig(Section):
    """Where /metrics, /health, /healthz and /readyz are answered."""

    host: str = "127.0.0.1"
    """Who may ask: this machine alone, or, 0.0.0.0, everybody who reaches it. No pictures are given, but names and addresses of
    cameras (without passwords) are."""
    port: Annotated[int, Field(ge=0, le=65535)] = 9464
    """0: one that is free."""
