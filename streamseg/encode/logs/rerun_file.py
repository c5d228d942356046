"""Begins a recording of rerun that goes into a file, and ends what rerun 0.41 leaves behind of each: threads and memory."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import rerun
import rerun_bindings

__all__ = ["begin", "sweep"]


def begin(path: Path, name: str, layout: Any, *, index: bool) -> Any:
    """A recording that is written into a file as it is flushed.

    Args:
        path: The file; what is there is replaced.
        name: The application: the viewer keeps a layout for each.
        layout: rerun's `Blueprint`.
        index: End the file with an index of its pieces, which is kept in memory until then: a kilobyte for each second and entity.
    """
    batches = rerun.ChunkBatcherConfig.NEVER()  # columns are batches
    recording = rerun.RecordingStream(name, recording_id=uuid.uuid4(), batcher_config=batches)
    try:
        described = rerun.RecordingStream._from_native(
            rerun_bindings.new_blueprint(
                application_id=name, make_default=False, make_thread_default=False, default_enabled=True
            )
        )
        described.set_time("blueprint", sequence=0)
        layout._log_to_stream(described)
        memory = described.memory_recording()
        rerun_bindings.save(
            path=str(path), default_blueprint=memory.storage, recording=recording.to_native(), write_footer=index
        )
        described.disconnect()  # it and its memory hold one another
    except (AttributeError, TypeError):  # another version: two threads stay behind
        recording.save(path, layout, write_footer=index)
    return recording


def sweep() -> None:
    """End the threads of recordings to which nobody holds a reference any more."""
    rerun_bindings.flush_and_cleanup_orphaned_recordings()
