"""A batch of pictures, as a network is given them: in host memory, or on the GPU already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.hub.graph_spec import GraphSpec

__all__ = ["DeviceImage", "Images", "check_images", "stack"]

ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DeviceImage:
    """A picture for the network that lies on the GPU already, made by work that may still be under way."""

    tensor: Any
    """torch uint8 [H, W, 3], RGB, contiguous."""
    ready: Any = None
    """torch.cuda.Event after which it holds the picture; None: it does now."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return tuple(self.tensor.shape)

    def host(self) -> ByteArray:
        """A copy in host memory; waits for it."""
        if self.ready is not None:
            self.ready.synchronize()
        copy: ByteArray = self.tensor.cpu().numpy()
        return copy

    def __repr__(self) -> str:
        return f"DeviceImage({list(self.shape)} on {self.tensor.device})"


Images = ByteArray | Sequence[DeviceImage]
"""A batch: uint8 [B, H, W, 3] RGB in host memory, or B pictures on the GPU."""


def check_images(engine: str, spec: GraphSpec, images: Images) -> None:
    """Raise ValueError if they are no batch for that model."""
    expected = (*spec.size, 3)
    if not _fits(images, expected):
        got = f"{images.dtype.name} {list(images.shape)}" if isinstance(images, np.ndarray) else str(list(images))
        raise ValueError(f"{engine}: images are {got}, expected uint8 [B, {', '.join(map(str, expected))}]")


def _fits(images: Images, expected: tuple[int, ...]) -> bool:
    """Whether it is a batch of pictures of that shape."""
    if len(images) < 1:
        return False
    if isinstance(images, np.ndarray):
        return images.ndim == 4 and images.shape[1:] == expected and images.dtype == np.uint8
    return all(i.shape == expected and i.tensor.element_size() == 1 and i.tensor.is_contiguous() for i in images)


def stack(batches: Sequence[Images]) -> Images:
    """One batch of several: pictures on the GPU stay there if all of them are."""
    if len(batches) == 1:
        return batches[0]
    if not any(isinstance(images, np.ndarray) for images in batches):
        return [image for image in chain.from_iterable(batches) if isinstance(image, DeviceImage)]
    return np.concatenate(
        [images if isinstance(images, np.ndarray) else np.stack([image.host() for image in images]) for images in batches]
    )
