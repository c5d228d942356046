"""Threads and the channels between them: the only place of the pipeline that knows about either."""

from streamseg.runtime.channel import Channel, Closed, Policy
from streamseg.runtime.runtime import Runtime
from streamseg.runtime.stage import Branch, Counters, Skip, Source, Stage

__all__ = ["Branch", "Channel", "Closed", "Counters", "Policy", "Runtime", "Skip", "Source", "Stage"]
