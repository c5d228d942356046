"""Runs a job on Ray: a worker a core (or GPU), each with an engine of its own, one task at a time on each.

A task is a film; or, while there are fewer films left than workers, a range of one (`ranges`). What comes out is the same. What is
to be done, what was done, and what cannot be is decided and noted by the driver alone, in the same book as without a cluster: a job
may move from a laptop to a cluster and back. A worker that dies costs the task that it had, which is tried again on another; a film
that kills its worker `ATTEMPTS` times is set aside as failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from streamseg.cluster.crew import Crew
from streamseg.errors import ConfigError, MissingExtra
from streamseg.jobs.films import Film
from streamseg.jobs.job import Job
from streamseg.jobs.manifest import NAME, Manifest
from streamseg.jobs.outcome import FilmReport, JobReport

__all__ = ["check_place", "run_on_ray"]


def check_place(where: str) -> None:
    """Raise ConfigError for what --on cannot be, MissingExtra without Ray."""
    parts = urlsplit(where)
    if where not in ("ray", "ray://auto") and not (parts.scheme == "ray" and parts.hostname):
        raise ConfigError(
            f"--on {where}: allowed: ray, the cores of this machine; or the address of a cluster's head, as ray://head:10001"
        )
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise MissingExtra("ray", "cluster") from error


def run_on_ray(
    job: Job,
    where: str = "ray",
    *,
    workers: int | None = None,
    on_film: Callable[[int, Film], None] | None = None,
    on_done: Callable[[FilmReport], None] | None = None,
) -> JobReport:
    """Run what is not done yet.

    where: `ray`, a cluster of this machine's cores; or the address of one, `ray://HOST:10001`. Paths must be the same on all of its
        machines.
    workers: how many; None: one a GPU where the network computes there, else one a core.

    Raises StreamsegError only for what concerns all films: the engine, the book of the job, the cluster.
    """
    import ray

    check_place(where)
    began, reports = time.monotonic(), list[FilmReport]()
    manifest = Manifest.hold(job.folder, len(job.films), job.command)
    try:
        own = _connect(ray, where, workers)
        try:
            crew = Crew(ray, job, manifest, workers)
            crew.run(reports, on_film, on_done)
        finally:
            if own:
                ray.shutdown()
    finally:
        manifest.close()
    return JobReport(tuple(reports), len(job.films) - len(reports), time.monotonic() - began, str(job.folder / NAME))


def _connect(ray: Any, where: str, workers: int | None) -> bool:
    """Whether the connection is ours to end. Raises ConfigError where there is no cluster."""
    if ray.is_initialized():
        return False
    quiet = {"include_dashboard": False} if where == "ray" else {}
    address: dict[str, Any] = {} if where == "ray" else {"address": "auto" if where == "ray://auto" else where}
    if where == "ray":
        address["num_cpus"] = workers or os.cpu_count() or 1
    try:
        ray.init(log_to_driver=False, logging_level="error", **address, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise ConfigError(f"--on {where}: there is no cluster: {error}") from error
    return True
