"""Sources: reads files, images, cameras, network addresses and pipes as frames with exact times, in the decoder's own planes."""

from streamseg.decode.added import AddedSource
from streamseg.decode.color_tags import ColorTags
from streamseg.decode.decoder import Decoder, open_source
from streamseg.decode.header import StreamInfo
from streamseg.decode.info import SourceInfo
from streamseg.decode.passthrough import PassThrough
from streamseg.decode.timeline import DecodeCounters

__all__ = ["AddedSource", "ColorTags", "DecodeCounters", "Decoder", "PassThrough", "SourceInfo", "StreamInfo", "open_source"]
