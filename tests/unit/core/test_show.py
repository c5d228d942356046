"""How results show themselves: in a notebook by IPython's `_repr_*_`, in a terminal by repr and rich."""

import io
import re

import av
import numpy as np
import pytest
from rich.console import Console

from streamseg.core.palette import color_of
from streamseg.core.show import LONGEST, MOST, png
from streamseg.core.types import Instances
from tests.unit import pictures
from tests.unit.core.test_result import result


def decoded(data, name="rgb24"):
    """A PNG as FFmpeg, not OpenCV, reads it."""
    (picture,) = av.CodecContext.create("png", "r").decode(av.Packet(data))
    return picture.to_ndarray(format=name, threads=1)


def terminal(thing):
    out = io.StringIO()
    Console(file=out, width=100).print(thing)
    return out.getvalue()


def test_a_result_is_the_picture_that_plot_draws():
    shown = result(width=120, height=80)
    assert np.array_equal(decoded(shown._repr_png_()), shown.plot())
    assert np.array_equal(decoded(shown.frame._repr_png_()), shown.image())
    assert not np.array_equal(shown.image(), shown.plot())


def test_masks_are_shown_in_the_colours_of_plot():
    shown = result(width=120, height=80)
    image = decoded(shown.masks._repr_png_())
    found = shown.instances
    for i in range(2):
        alone = shown.masks[i] & ~shown.masks[1 - i]
        assert (image[alone] == color_of(int(found.track_ids[i]), int(found.labels[i]))).all()
    assert not image[~(shown.masks[0] | shown.masks[1])].any()


SIZES = [((1080, 1920), (288, 512)), ((2000, 10), (512, 3)), ((30, 40), (30, 40)), ((1, 9000), (1, 512))]


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_pictures_are_bounded(size, expected):
    data = png(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    assert decoded(data).shape[:2] == expected
    assert len(data) < LONGEST * LONGEST * 3 * 1.1


def test_instances_are_a_table_in_a_notebook_and_in_a_terminal():
    found = result().instances
    text = found._repr_html_()
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    assert len(rows) == 1 + len(found)
    for row, name, score in zip(rows[1:], found.names, found.scores, strict=True):
        assert f"<td>{name}</td><td>{score:.2f}</td>" in row
        assert 'src="data:image/png;base64,' in row
    for thing in (found, result()):
        seen = terminal(thing)
        assert all(f"{name} " in seen and f"{score:.2f}" in seen for name, score in zip(found.names, found.scores, strict=True))
        assert repr(thing) in " ".join(seen.split())


def test_many_are_cut_and_names_are_text():
    one = pictures.instances([[4, 4, 20, 30]] * (MOST + 5))
    fields = {name: getattr(one, name) for name in ("boxes", "scores", "labels", "masks")}
    found = Instances(**fields, class_names=("<b>[red]x",) * len(one.class_names))
    text = found._repr_html_()
    assert text.count("<tr>") == MOST + 1
    assert "and 5 more" in text
    assert "and 5 more" in terminal(found)
    assert "<b>" not in text
    assert "[red]x" in terminal(found), "no markup"
    assert len(text) < 60_000


def test_nothing_is_shown_as_nothing():
    none = Instances.empty(("person",))
    assert "Instances(none)" in none._repr_html_()
    assert "Instances(none)" in terminal(none)
