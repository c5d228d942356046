"""Outputs: video files, image sequences, results as JSON lines, and a live view.

sink = open_sink("out.mp4", info, passthrough=decoder.subscribe(("audio", "subtitle")), source="in.mp4")
sink.open()
for rendered in pictures:
    sink(rendered)
sink.close()
"""

from streamseg.encode.choose import check_output, copies_tracks, is_address, is_plain, is_results, is_view, make_view, open_sink
from streamseg.encode.file_sink import FileSink
from streamseg.encode.images.sequence import ImageSink
from streamseg.encode.results.base import FormatSink
from streamseg.encode.results.jsonl import JsonlSink
from streamseg.encode.sink import OutputKind, OutputRequest, RenderedPicture, Sink, SinkCounters
from streamseg.encode.video.sink import VideoSink

__all__ = [
    "FileSink",
    "FormatSink",
    "ImageSink",
    "JsonlSink",
    "OutputKind",
    "OutputRequest",
    "RenderedPicture",
    "Sink",
    "SinkCounters",
    "VideoSink",
    "check_output",
    "copies_tracks",
    "is_address",
    "is_plain",
    "is_results",
    "is_view",
    "make_view",
    "open_sink",
]
