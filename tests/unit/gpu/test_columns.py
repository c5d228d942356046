"""The tables' columns: no two names for one, and none without a name."""

from streamseg.gpu.kernels import columns

INSTANCE = (
    "X0 Y0 X1 Y1 GRID CELLS CUT GAIN RATE_X SHIFT_X RATE_Y SHIFT_Y LAST SAMPLES CODE0 CODE1 CODE2 BOX_X0 BOX_Y0 BOX_X1 BOX_Y1 "
    "FILL REACH ELLIPSE"
)
PLATE = "X0 Y0 X1 Y1 TEXT PLATE0 TEXT0 PLATE1 TEXT1 PLATE2 TEXT2"
MATRIX = "R_Y R_V R_STILL G_Y G_U G_V G_MIDDLE G_CHROMA G_STILL B_Y B_U B_STILL"


def values(names: str) -> list[int]:
    return sorted(getattr(columns, name).value for name in names.split())


def test_each_column_has_one_name():
    assert values(INSTANCE) == list(range(columns.FIELDS.value))
    assert values(PLATE) == list(range(11)), "the twelfth number of a label's row keeps rows at multiples of 32 bytes"
    assert values(MATRIX) == list(range(columns.MATRIX_FIELDS.value))
