"""Films as a source of Ray Data: a task a film, which gives its rows in blocks while it runs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from streamseg.config import PipelineConfig
from streamseg.core.result import Result
from streamseg.errors import ConfigError, EngineError, MissingExtra, ModelError, StreamsegError
from streamseg.pipeline.iteration import iterate
from streamseg.ray import kept
from streamseg.ray.rows import Pictures, failed_row, frame_row, tables

__all__ = ["Films", "OnError", "film_tables"]

OnError = Literal["raise", "row", "skip"]
_TOGETHER = 256
"""Rows of a table at most; Ray joins them to blocks of its own size."""
_OF_ALL = (ConfigError, EngineError, MissingExtra, ModelError)
"""Errors that no other film of the job would be spared."""


class Films(Datasource):  # type: ignore[misc]
    """What is found in films, a row a frame."""

    def __init__(self, films: list[str], config: PipelineConfig, pictures: Pictures, on_error: OnError) -> None:
        super().__init__()
        self._films = films
        self._read = partial(film_tables, config=config, pictures=pictures, on_error=on_error)

    def get_name(self) -> str:
        """As Ray's progress and statistics have it."""
        return "StreamsegFilms"

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known before the films are run."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ReadTask]:
        """One a film."""
        return [
            _task(partial(self._read, film), BlockMetadata(None, None, [film], None), per_task_row_limit)
            for film in self._films
        ]


def _task(read: Callable[[], Iterator[Any]], metadata: BlockMetadata, limit: int | None) -> ReadTask:
    try:
        return ReadTask(read, metadata, per_task_row_limit=limit)
    except TypeError:  # before Ray 2.48 there was no limit
        return ReadTask(read, metadata)


def film_tables(film: str, config: PipelineConfig, pictures: Pictures, on_error: OnError) -> Iterator[Any]:
    """The rows of one film as `pyarrow.Table`s, computed while they are taken. The same each time: Ray repeats what was lost.

    Raises StreamsegError; with `on_error` "row" what is wrong with the film itself is its last row, with "skip" it is logged.
    """
    return tables(_rows(film, config, pictures, on_error), _TOGETHER, pictures)


def _rows(film: str, config: PipelineConfig, pictures: Pictures, on_error: OnError) -> Iterator[tuple[dict[str, Any], Any]]:
    try:
        with contextlib.closing(iterate(film, config, engine_of=partial(kept.client, config))) as results:  # type: ignore[type-var]
            for result in results:
                yield frame_row(film, result), _picture(result, pictures)
    except StreamsegError as error:
        if on_error == "raise" or isinstance(error, _OF_ALL):
            raise
        logging.getLogger("streamseg").warning("%s", error)
        if on_error == "row":
            yield failed_row(film, error), None


def _picture(result: Result, pictures: Pictures) -> Any:
    if pictures is False:
        return None
    if pictures is True:
        return result.image()
    import cv2

    _, data = cv2.imencode(f".{pictures}", result.image("bgr24"))
    return data.tobytes()
