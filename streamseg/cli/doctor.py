"""What this machine can do: versions, GPU, engines, shipped models, decoders. Plain data; the command line prints it."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from streamseg.engine.choose import CANDIDATES, Candidate
from streamseg.engine.openvino import why_not_bf16
from streamseg.engine.precision import automatic
from streamseg.errors import ModelError
from streamseg.hub.catalog import ModelInfo, describe, shipped
from streamseg.hub.graph_spec import read_spec
from streamseg.system.cores import core_count
from streamseg.system.cpu import cpu_name
from streamseg.system.registry import ENGINES, REGISTRIES, Found

__all__ = ["DoctorReport", "EngineReport", "GpuReport", "ModelReport", "doctor"]

PACKAGES = (
    "streamseg",
    "numpy",
    "av",
    "opencv-python-headless",
    "openvino",
    "onnxruntime",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
    "torch",
    "torchvision",
    "scipy",
)


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Whether an engine can run here."""

    name: str
    runs: bool
    why_not: str | None
    """The reason, and what to install; None if it runs."""
    chosen: bool
    """What `--engine auto` takes."""


@dataclass(frozen=True, slots=True)
class GpuReport:
    """An NVIDIA GPU."""

    name: str
    memory_mib: int
    driver: str
    compute_capability: str


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The models this installation brings."""

    files: tuple[ModelInfo, ...]
    problem: str | None
    """What is wrong with those that are not listed; None if all are sound."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All of it."""

    python: str
    platform: str
    cpu: str
    cores: int
    """Those this process may use."""
    no_bf16: str | None
    """Why `--precision bf16` cannot be had here; None if it can."""
    faster: tuple[str, ...]
    """The precisions that the chosen engine computes faster than float32 here, fastest first."""
    automatic: dict[str, str]
    """What `--precision auto` takes in it, by shipped model and size."""
    versions: dict[str, str | None]
    """By package; None where it is not installed."""
    ffmpeg: dict[str, str]
    """Version of each of FFmpeg's libraries within PyAV."""
    gpus: tuple[GpuReport, ...]
    gpu_note: str | None
    """Why no GPU is listed."""
    engines: tuple[EngineReport, ...]
    """Best first."""
    pictures: dict[str, str | None]
    """Why frames cannot live on the GPU, be decoded or be encoded there; None where they can; nothing without a GPU."""
    models: ModelReport
    hardware_decoders: tuple[str, ...]
    """Kinds of hardware decoding FFmpeg was built with; whether the device is there shows only when one is opened."""

    plugins: tuple[Found, ...]
    """What installed packages add, and what is wrong with those that cannot be used."""

    @property
    def ok(self) -> bool:
        """Whether a video can be processed here."""
        return any(engine.runs for engine in self.engines) and self.models.problem is None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = asdict(self)
        for file in values["models"]["files"]:
            file["path"] = str(file["path"])
        return values | {"ok": self.ok}


def doctor() -> DoctorReport:
    """Look at the machine. Imports no torch; takes about a second, a little more where there is a GPU."""
    import av
    from av.codec.hwaccel import hwdevices_available

    gpus, note = _gpus()
    models = _models()
    plugins = tuple(found for registry in REGISTRIES for found in registry.found())
    engines = _engines([found.name for found in plugins if found.kind == ENGINES.kind and found.problem is None])
    faster = next((c.faster() for e in engines for c in CANDIDATES if e.chosen and c.name == e.name), ())
    return DoctorReport(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_name(),
        cores=core_count(),
        no_bf16=why_not_bf16(),
        faster=faster,
        automatic={f"{m.name} {m.size[0]}x{m.size[1]}": automatic(read_spec(m.path), faster).precision for m in models.files},
        versions={package: _version(package) for package in PACKAGES},
        ffmpeg={name: ".".join(map(str, version)) for name, version in av.library_versions.items()},
        gpus=gpus,
        gpu_note=note,
        engines=engines,
        pictures=_pictures() if gpus else {},
        models=models,
        hardware_decoders=tuple(sorted(hwdevices_available())),
        plugins=plugins,
    )


def _engines(added: list[str]) -> tuple[EngineReport, ...]:
    """Streamseg's own, and those of plug-ins, which are taken where they are named only."""
    reports: list[EngineReport] = []
    others: list[Candidate] = [replace(ENGINES.get(name), name=name, auto=False) for name in added]
    for candidate in (*CANDIDATES, *others):
        why_not = candidate.why_not()
        chosen = why_not is None and candidate.auto and not any(report.chosen for report in reports)
        reports.append(EngineReport(candidate.name, why_not is None, why_not, chosen))
    return tuple(reports)


def _pictures() -> dict[str, str | None]:
    from streamseg.device.device import why_not_gpu
    from streamseg.encode.video.nvenc import why_not_nvenc
    from streamseg.gpu.decode import why_not_nvdec

    return {"frames on the GPU": why_not_gpu(), "NVDEC": why_not_nvdec(), "NVENC": why_not_nvenc()}


def _models() -> ModelReport:
    files, problems = [], []
    for path in shipped():
        try:
            files.append(describe(path))
        except ModelError as error:
            problems.append(str(error))
    if not files and not problems:
        problems.append("this installation brings no model files; give --model a path")
    return ModelReport(tuple(files), "; ".join(problems) or None)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus() -> tuple[tuple[GpuReport, ...], str | None]:
    """Asks the driver's own tool: importing a GPU library to find out would take seconds, and memory on the GPU."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version,compute_cap", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except FileNotFoundError:
        driver = Path("/proc/driver/nvidia/version")
        if driver.exists():
            return (), "the NVIDIA kernel driver is loaded, but nvidia-smi is not installed (in a container: give it the GPU)"
        return (), "no NVIDIA driver"
    except subprocess.TimeoutExpired:
        return (), "nvidia-smi did not answer within 10 s: the driver hangs"
    except subprocess.CalledProcessError as error:
        return (), f"nvidia-smi failed: {(error.stderr or error.stdout).strip() or f'exit code {error.returncode}'}"
    return _parse_gpus(answer.stdout)


def _parse_gpus(text: str) -> tuple[tuple[GpuReport, ...], str | None]:
    gpus = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4:
            gpus.append(GpuReport(cells[0], int(cells[1]) if cells[1].isdecimal() else 0, cells[2], cells[3]))
    return tuple(gpus), None if gpus else "nvidia-smi lists no GPU"
