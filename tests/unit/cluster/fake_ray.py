"""What the driver asks of Ray, in one process: actors whose calls run when they are waited for, in any order, and may die."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any


class RayActorError(Exception):
    """An actor died."""


class FakeRay:
    """Stands for the module `ray`."""

    exceptions = SimpleNamespace(RayActorError=RayActorError)

    def __init__(self, resources: Mapping[str, float], seed: int, dies: Callable[[str, tuple[Any, ...]], bool]) -> None:
        """`dies`: whether the actor dies over a call, by the method's name and arguments."""
        self._resources, self._random, self._dies = resources, random.Random(seed), dies
        self._calls: dict[object, Callable[[], Any]] = {}
        self._done: dict[object, Any] = {}
        self.made: list[dict[str, float]] = []
        """What each actor asked for."""
        self.lost = 0

    def cluster_resources(self) -> Mapping[str, float]:
        return self._resources

    def remote(self, **asked: float) -> Callable[[type], Any]:
        def wrapped(kind: type) -> Any:
            def make(*given: Any) -> _Actor:
                self.made.append(asked)
                return _Actor(self, kind(*given))

            return SimpleNamespace(remote=make)

        return wrapped

    def call(self, actor: _Actor, name: str, given: tuple[Any, ...]) -> object:
        reference = object()

        def run() -> Any:
            if actor.dead or self._dies(name, given):
                actor.dead, self.lost = True, self.lost + 1
                raise RayActorError("the actor died\nof this")
            return getattr(actor.own, name)(*given)

        self._calls[reference] = run
        return reference

    def wait(self, references: list[object], *, num_returns: int, timeout: float) -> tuple[list[object], list[object]]:
        chosen = self._random.choice(references)
        self._run(chosen)
        return [chosen], [each for each in references if each is not chosen]

    def _run(self, reference: object) -> None:
        try:
            self._done[reference] = self._calls.pop(reference)()
        except RayActorError as error:
            self._done[reference] = error

    def get(self, reference: object) -> Any:
        if reference not in self._done:
            self._run(reference)
        found = self._done.pop(reference)
        if isinstance(found, RayActorError):
            raise found
        return found


class _Actor:
    def __init__(self, ray: FakeRay, own: Any) -> None:
        self._ray, self.own, self.dead = ray, own, False

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: self._ray.call(self, name, given))
