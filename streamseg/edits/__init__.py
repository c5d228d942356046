"""What a person decided about the tracks of a film: names, merges, splits, forbidden tracks, selections (docs/selections.md)."""

from streamseg.edits.applied import Applied
from streamseg.edits.edits import Edits, Split
from streamseg.edits.file import ENDING, SCHEMA
from streamseg.edits.film import Film

__all__ = ["ENDING", "SCHEMA", "Applied", "Edits", "Film", "Split"]
