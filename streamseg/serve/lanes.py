"""How many requests are worked on at once, and how many wait: who comes when all places are taken is told at once, not kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

__all__ = ["Full", "Lane"]

T = TypeVar("T")


class Full(Exception):
    """All places are taken."""


class Lane:
    """One kind of work: `workers` requests run, each in a thread; at most `queue` wait for one of these."""

    def __init__(self, name: str, workers: int, queue: int) -> None:
        self.name, self._places = name, workers + queue
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=f"serve-{name}")
        self._turns = asyncio.Semaphore(workers)
        self.taken = 0
        """Requests that run or wait."""

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place, from before the body is read to after the answer is sent. Raises Full."""
        if self.taken >= self._places:
            raise Full(self.name)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in a thread, when it is its turn. Who has a place calls this."""
        async with self._turns:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[ThreadPoolExecutor]:
        """Its turn, and the thread, for work that gives one thing after the other."""
        async with self._turns:
            yield self._threads

    def close(self) -> None:
        """Leave what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
