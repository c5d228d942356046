"""The results file: what was found in each frame of a film, kept without loss, to be read again without a network.

`write.RecordWriter` writes it frame by frame, `read.open_results` reads it, `chunks` and `frames` know its bytes (docs/results.md
describes them for readers in other languages), `source_key` tells whether a film is still the one that was looked at.
"""

from streamseg.record.frames import FrameRecord
from streamseg.record.read import ENDING, Results, open_results
from streamseg.record.tracks import TrackSummary
from streamseg.record.write import RecordWriter

__all__ = ["ENDING", "FrameRecord", "RecordWriter", "Results", "TrackSummary", "open_results"]
