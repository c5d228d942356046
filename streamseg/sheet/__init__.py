"""The contact sheet: a row a track, with small pictures of it over time, from which a person chooses (docs/selections.md)."""

from streamseg.sheet.rows import Row, rows_of
from streamseg.sheet.write import write_sheets

__all__ = ["Row", "rows_of", "write_sheets"]
