"""The tables that the host fills and the kernels read: what stands in each column, by the one name that both sides use.

As `tl.constexpr` they are what a kernel may take from its module; NumPy takes them as indexes.
"""

from __future__ import annotations

import triton.language as tl

from streamseg.core import masks

__all__ = ["FIELDS", "HALF", "MATRIX_FIELDS", "PLATE_FIELDS"]

HALF = tl.constexpr(masks.HALF)

# An instance's row, float64 (`pack.instance_table`). A shape's (`places`) has its region and its codes alone.
X0, Y0, X1, Y1 = map(tl.constexpr, range(4))
"""Its region, luma pixels; a label's row begins with the same."""
GRID, CELLS = map(tl.constexpr, range(4, 6))
"""Where its grid begins among the grids, and the grid's cells a side."""
CUT = tl.constexpr(6)
"""Sides on which the frame cuts it off: the sum of LEFT, RIGHT, TOP, BOTTOM."""
GAIN = tl.constexpr(7)
"""How much steeper its outline is made (`masks.gain`)."""
RATE_X, SHIFT_X, RATE_Y, SHIFT_Y = map(tl.constexpr, range(8, 12))
"""Position in the grid of sample x: (x + 0.5) * RATE_X + SHIFT_X; of sample y likewise."""
LAST = tl.constexpr(12)
"""The last position there is."""
SAMPLES = tl.constexpr(13)
"""Where its samples begin in a buffer of all regions."""
CODE0, CODE1, CODE2 = map(tl.constexpr, range(14, 17))
"""Its colour: luma, U, V."""
BOX_X0, BOX_Y0, BOX_X1, BOX_Y1 = map(tl.constexpr, range(17, 21))
"""Its box in whole pixels."""
FILL = tl.constexpr(21)
"""An overlay's opacity of the fill, 0 to 1."""
REACH, ELLIPSE = map(tl.constexpr, range(22, 24))
"""How far its contour reaches, samples; where the middle of the contour's ellipse is in the list of all ellipses' rows."""
FIELDS = tl.constexpr(24)

LEFT, RIGHT, TOP, BOTTOM = map(tl.constexpr, (1, 2, 4, 8))

# A label's row, float64: X0 to Y1, and these.
TEXT = tl.constexpr(4)
"""Where the coverage by its text begins among those of all labels."""
PLATE0, TEXT0, PLATE1, TEXT1, PLATE2, TEXT2 = map(tl.constexpr, range(5, 11))
"""For luma, U and V the code of its plate, and how much the text's differs."""
PLATE_FIELDS = tl.constexpr(12)

# The sums of a picture's codes that are RGB, float32 (`fit.matrix_of`).
R_Y, R_V, R_STILL = map(tl.constexpr, range(3))
"""Red: of Y, of V, constant."""
G_Y = tl.constexpr(3)
G_U, G_V, G_MIDDLE = map(tl.constexpr, range(4, 7))
"""Green's chroma: of U, of V, constant."""
G_CHROMA, G_STILL = map(tl.constexpr, range(7, 9))
"""Green: of that chroma, constant."""
B_Y, B_U, B_STILL = map(tl.constexpr, range(9, 12))
"""Blue: of Y, of U, constant."""
MATRIX_FIELDS = tl.constexpr(12)
