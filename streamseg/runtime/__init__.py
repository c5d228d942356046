"""Threads and the channels between them: the only place of the pipeline that knows about either."""

from streamseg.runtime.chain import Chain
from streamseg.runtime.channel import Channel, Closed, Policy
from streamseg.runtime.runtime import Branch, Counters, Runtime, Source, Stage

__all__ = ["Branch", "Chain", "Channel", "Closed", "Counters", "Policy", "Runtime", "Source", "Stage"]
