"""Sizes as people write them."""

import pytest

from streamseg.core.sizes import read_size


@pytest.mark.parametrize("text", ["320x576", "320X576", "320×576", " 320 x 576 "])
def test_the_height_comes_first(text):
    assert read_size(text) == (320, 576)


@pytest.mark.parametrize("text", ["", "320", "320x", "x576", "320x576x3", "-1x5", "1.5x2", "big", None, 320, True])
def test_anything_else_is_told_how_to_be_written(text):
    with pytest.raises(ValueError, match="is not a size; write HEIGHTxWIDTH, as 320x576"):
        read_size(text)
