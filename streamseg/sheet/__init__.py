"""The contact sheet: a row a track, with small pictures of it over time, from which a person chooses (docs/selections.md)."""

from streamseg.sheet.rows import Row, rows_of
from streamseg.sheet.write import MOST_PICTURES, PICTURES, ROWS, take_pictures, write_sheets

__all__ = ["MOST_PICTURES", "PICTURES", "ROWS", "Row", "rows_of", "take_pictures", "write_sheets"]
