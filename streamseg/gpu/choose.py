"""Decides whether the frames of a run live on the GPU: they do where the network runs there. If they cannot, it says why."""

from __future__ import annotations

from streamseg.device.device import Device, why_not_gpu
from streamseg.engine.choose import computes_on_gpu
from streamseg.errors import EngineUnavailable
from streamseg.gpu.decode import Mode
from streamseg.system.callbacks import Message

__all__ = ["choose_device"]


def choose_device(engine: str, decode: Mode, *, require_gpu: bool = False, on_message: Message | None = None) -> Device | None:
    """The GPU, if `engine` (as `open_engine` takes it) will compute there and all that frames need is installed; else None.

    `decode`: `nvdec` means the GPU or an error, `host` that frames stay in host memory whatever computes. Raises EngineUnavailable
    where a GPU is required, by either, and frames cannot live there.
    """
    if decode == "host":
        return None
    if decode != "nvdec" and not computes_on_gpu(engine):
        return None  # what the engine says of itself is enough, also where a GPU is required
    reason = why_not_gpu()
    if reason is None:
        device = Device()
        if (reason := device.why_not()) is None:
            return device
    if require_gpu or decode == "nvdec":
        raise EngineUnavailable(f"frames cannot stay on the GPU: {reason}. With `--decode host` they stay in host memory")
    if on_message is not None:
        on_message(f"frames stay in host memory: {reason}")
    return None
