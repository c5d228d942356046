"""Lines of a table that a spreadsheet opens (RFC 4180): quoted where needed, and no text taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["BOM", "csv_line"]

BOM = b"\xef\xbb\xbf"
"""In front of a file it tells a spreadsheet that it is UTF-8; Excel takes it for another encoding without."""
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What begins a formula in a spreadsheet, full width too (OWASP, "CSV injection"): a class or a name may come from anywhere."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def csv_line(cells: Sequence[Any], *, end: str = "\r\n") -> bytes:
    """One line, UTF-8. None is an empty cell; numbers have six digits at most behind the point, and no exponent.

    Text that a spreadsheet would run gets an apostrophe in front; a number stays one.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerow([_safe(cell) for cell in cells])
    return text.getvalue().encode("utf-8", "replace")


def _safe(cell: Any) -> Any:
    if isinstance(cell, float):
        return f"{round(cell, 6) + 0.0:.6f}".rstrip("0").rstrip(".")  # no -0
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
