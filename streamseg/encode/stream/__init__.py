"""One H.264 encode of what a camera shows, for everybody who wants it: browsers, recordings, media servers."""

from streamseg.encode.stream.listener import Listener
from streamseg.encode.stream.shared import SharedStream
from streamseg.encode.stream.unit import StreamFormat, Unit

__all__ = ["Listener", "SharedStream", "StreamFormat", "Unit"]
