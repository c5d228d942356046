"""Where a run computes and in which types: device, autocast, gradient scaling, and the random state that belongs to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError, EngineUnavailable
from streamseg.networks.backbones import SameConv2d
from streamseg.training.dataset import Target

__all__ = ["Precision"]


class Precision:
    """Mixed precision (Micikevicius et al. 2018, arXiv 1710.03740) on a GPU, and on a CPU for those who ask for it.

    bf16 needs no scaling of gradients; fp16 has it, and skips steps whose gradients overflow. Raises EngineUnavailable
    where a GPU is asked for and there is none.
    """

    def __init__(self, device: str, amp: str) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable("--device cuda: torch sees no GPU here; take --device cpu, or see to driver and CUDA build")
        self.device = torch.device(device)
        if amp == "auto":
            amp = "off" if device == "cpu" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        self.amp = amp
        self.dtype = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[amp]
        self.scaler = torch.amp.GradScaler(device, enabled=amp == "fp16")

    def prepare(self, model: MaskRCNN) -> None:
        """Let the proposal head answer in float32: box coordinates of hundreds of pixels need more than bf16's 8 bits.

        On a CPU, depthwise convolutions that learn stay in float32: their gradients in bf16 are slow. Backbone of lite, forward
        and backward, 4 pictures of 320x448, one core with AVX512_BF16, torch 2.15: 0.56 s in float32, 0.41 in bf16, 0.30 so.
        """
        if self.dtype is None:
            return
        model.rpn.head.register_forward_hook(_as_float)
        for module in model.modules() if self.device.type == "cpu" else ():
            if isinstance(module, nn.Conv2d) and module.groups > 1 and module.weight.requires_grad:
                module.__class__ = _FLOAT32.get(type(module), type(module))

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The forward pass's types; to be entered in each thread that computes."""
        if self.dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def moved(self, images: Tensor, targets: list[Target]) -> tuple[Tensor, list[Target]]:
        """A batch on the device."""
        if self.device.type == "cpu":
            return images, targets
        there = [{name: value.to(self.device, non_blocking=True) for name, value in target.items()} for target in targets]
        return images.to(self.device, non_blocking=True), there

    def backward(self, loss: Tensor) -> None:
        """Add the (scaled) gradients of a loss."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], clip: float) -> bool:
        """Clip and apply the gradients; False, and nothing learnt, where they are not finite."""
        if self.scaler.is_enabled():
            self.scaler.unscale_(optimizer)
        finite = bool(torch.isfinite(nn.utils.clip_grad_norm_(parameters, clip)))
        if finite:
            self.scaler.step(optimizer)
        if self.scaler.is_enabled():
            self.scaler.update()
        return finite

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold of this: the scale, and the random generators."""
        cuda = torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []
        return {"scaler": self.scaler.state_dict(), "random": torch.get_rng_state(), "cuda_random": cuda}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        if bool(state["scaler"]) != self.scaler.is_enabled():
            raise ConfigError("the checkpoint was made with other types: resume with the same --amp and --device")
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if state["cuda_random"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_random"])


class _FloatConv2d(nn.Conv2d):
    """A convolution that autocast leaves alone."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class _FloatSameConv2d(SameConv2d):
    """The same with SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


_FLOAT32: dict[type[nn.Conv2d], type[nn.Conv2d]] = {nn.Conv2d: _FloatConv2d, SameConv2d: _FloatSameConv2d}


def _as_float(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
    return tuple([level.float() for level in part] for part in outputs)
