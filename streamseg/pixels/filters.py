"""libavfilter's filters on one picture at a time, for what PyAV cannot read or write of a picture itself."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph

__all__ = ["Filter"]


class Filter:
    """A chain of filters that makes at most one picture of each picture, at once. It is set up anew when size or format changes.

    Each step is a filter's name and its argument. Used by one thread.
    """

    def __init__(self, *steps: tuple[str, str]) -> None:
        self._steps = steps
        self._key: tuple[int, int, str] | None = None
        self._graph = Graph()

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame | None:
        """What they make of `picture`, which may share its memory; None if they let nothing through.

        Raises av.FFmpegError for a picture on a GPU.
        """
        key = (picture.width, picture.height, picture.format.name)
        if key != self._key:
            self._key, self._graph = key, Graph()
            self._graph.threads = 1  # its threads would not live on in a fork, where freeing the graph would wait for them
            source = self._graph.add_buffer(
                width=key[0], height=key[1], format=picture.format, time_base=picture.time_base or Fraction(1, 90000)
            )
            steps = [self._graph.add(name, argument) for name, argument in self._steps]
            self._graph.link_nodes(source, *steps, self._graph.add("buffersink"))
            self._graph.configure()
        self._graph.vpush(picture)
        try:
            return self._graph.vpull()
        except BlockingIOError:
            return None
