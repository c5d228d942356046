"""A live view of the pipeline in a browser."""

from streamseg.live.mjpeg import MjpegServer

__all__ = ["MjpegServer"]
