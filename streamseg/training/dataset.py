"""Training samples without end: which photo comes when, and batches of them for a trainer.

Sample n of a seed is always the same picture, whichever process draws it and whatever was drawn before. So a
resumed run goes on where it stopped.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from streamseg.config.training import Augmentation
from streamseg.datasets.photos import TrainingObject, TrainingPhoto
from streamseg.datasets.pictures import read_picture
from streamseg.errors import ConfigError, StageError
from streamseg.training.augment import paste, place, recolour

Target = dict[str, Tensor]
Batch = tuple[Tensor, list[Target]]
"""Pictures uint8 [B, 3, H, W], and the target of each as `networks.losses` describes it."""


def source_weights(photos: Sequence[TrainingPhoto], shares: Mapping[str, float]) -> NDArray[np.float64]:
    """Probability of each photo: `shares` gives a source its part; the rest is spread evenly."""
    sources = [photo.source for photo in photos]
    unknown = set(shares) - set(sources)
    if unknown:
        raise ConfigError(f"no photo has source {sorted(unknown)}; there are: {sorted(set(sources))}")
    rest = 1.0 - sum(shares.values())
    others = sum(s not in shares for s in sources)
    if rest < -1e-9 or (others == 0 and rest > 1e-9) or min(shares.values(), default=0) < 0:
        raise ConfigError(f"shares of the sources must be positive and sum to 1 at most: {dict(shares)}")
    count = {s: sources.count(s) for s in set(sources)}
    return np.array([shares[s] / count[s] if s in shares else rest / others for s in sources])


def repeat_rare(photos: Sequence[TrainingPhoto], weights: NDArray[np.float64], frequency: float) -> NDArray[np.float64]:
    """`weights` with photos of rare classes raised, each source keeping its part of the whole.

    Repeat factor sampling of Gupta et al. 2019 (LVIS, arXiv 1908.03195): a photo counts max(1, sqrt(frequency / f)) times for
    the rarest of its classes, f being the part of the draws that hold the class.
    """
    held = [{thing.label for thing in photo.objects} for photo in photos]
    odds = weights / weights.sum()
    part = {label: sum(odds[i] for i, labels in enumerate(held) if label in labels) for label in set().union(*held)}
    factor = {label: max(1.0, math.sqrt(frequency / f)) for label, f in part.items() if f > 0}
    raised: NDArray[np.float64] = odds * np.array(
        [max((factor.get(label, 1.0) for label in labels), default=1.0) for labels in held]
    )
    sources = np.array([photo.source for photo in photos])
    for source in np.unique(sources):
        here = sources == source
        raised[here] *= odds[here].sum() / max(raised[here].sum(), 1e-12)
    return raised


class Samples(Dataset[tuple[Tensor, Target]]):
    """Endless augmented samples of `photos`; item n is a function of (seed, n) alone.

    `canvases`: (H, W) pixels, one drawn for each batch of `batch` samples. `weights`: as source_weights.
    """

    def __init__(
        self,
        photos: Sequence[TrainingPhoto],
        weights: NDArray[np.float64],
        canvases: Sequence[tuple[int, int]],
        batch: int,
        seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        if not photos:
            raise ConfigError("there is no photo to train on")
        self.photos = photos
        self.cumulative = np.cumsum(weights) / np.sum(weights)
        self.canvases, self.batch, self.seed = list(canvases), batch, seed
        self.how = augmentation or Augmentation()
        self.pasteable: dict[int, list[tuple[int, TrainingObject]]] = {}
        for i, photo in enumerate(photos):
            for thing in photo.objects:
                if thing.rle is not None and thing.box[3] - thing.box[1] >= 32:
                    self.pasteable.setdefault(thing.label, []).append((i, thing))
        self.paste_labels = sorted(self.pasteable)
        sizes = np.array([len(self.pasteable[k]) for k in self.paste_labels]) ** self.how.paste_power
        self.paste_odds = sizes / sizes.sum() if len(sizes) else sizes

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, n: int) -> tuple[Tensor, Target]:
        canvas = self.canvases[np.random.default_rng([self.seed, 1, n // self.batch]).integers(len(self.canvases))]
        rng = np.random.default_rng([self.seed, 2, n])
        index = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        photo = self.photos[min(index, len(self.photos) - 1)]
        sample = place(photo, read_picture(photo), canvas, self.how, rng)
        if self.paste_labels and rng.random() < self.how.paste:
            for _ in range(rng.integers(1, self.how.paste_most + 1)):
                label = int(rng.choice(self.paste_labels, p=self.paste_odds))
                source, thing = self.pasteable[label][rng.integers(len(self.pasteable[label]))]
                paste(sample, thing, read_picture(self.photos[source]), rng)
        sample.picture = recolour(sample.picture, self.how, rng)
        return sample.tensors(photo)


def batches(samples: Samples, first: int, workers: int, pin: bool = False) -> Iterator[Batch]:
    """Batches from sample `first` on, without end, made by `workers` processes (0: by the caller).

    Raises ConfigError when a picture cannot be read any more, StageError when a process was killed.
    """
    loader: DataLoader[Any] = DataLoader(
        samples,
        batch_size=samples.batch,
        sampler=range(first, first + (1 << 31)),
        collate_fn=collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_begin_worker,
        generator=torch.Generator(),  # or making the loader would draw from the run's own generator
        pin_memory=pin,
        # A fork would copy locks that arithmetic threads hold.
        multiprocessing_context="spawn" if workers else None,
    )
    with _no_interrupts():
        rows = iter(loader)
    try:
        yield from rows
    except ConfigError as error:  # a worker's arrives with its traceback as text
        raise ConfigError(str(error).strip().splitlines()[-1].removeprefix("streamseg.errors.ConfigError: ")) from error
    except (RuntimeError, OSError, EOFError) as error:  # how a process that was killed is told of
        raise StageError("sampling", error) from error


def collate(rows: list[tuple[Tensor, Target]]) -> Batch:
    """Samples of one size as a batch."""
    return torch.stack([image for image, _ in rows]), [target for _, target in rows]


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Processes started in here never see Ctrl-C: the trainer alone decides when a run ends, and ends them."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(_: int) -> None:
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    # torch lets a worker end while its queue's thread is still handing samples over, in C++. An interpreter that is taken down ends
    # that thread there, and then the process by "terminate called without an active exception".
    atexit.register(_leave)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
