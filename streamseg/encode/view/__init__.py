"""A live view of the pipeline in a browser."""

from streamseg.encode.view.mjpeg import MjpegServer

__all__ = ["MjpegServer"]
