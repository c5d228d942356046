"""Cryptomatte, against the vectors of its specification and the decoder of `cryptomatte-api`."""

import json

import cryptomatte_api
import numpy as np
import pytest

from streamseg.core import masks
from streamseg.core.exr_options import ExrOptions
from streamseg.encode.exr.cryptomatte import Ranks, id_bits, id_of, metadata
from streamseg.errors import ConfigError
from tests.unit.encode.exr import helpers
from tests.unit.pictures import instances

SIZE = (96, 64)
PICTURE = helpers.flat("yuv420p", (126, 128, 128), size=SIZE)


def coverage(found, i: int) -> np.ndarray:
    """float [height, width]: what an instance covers, whatever is in front of it."""
    whole = np.zeros((SIZE[1], SIZE[0]))
    x0, y0, x1, y1 = region = masks.region_of(found.boxes[i], *SIZE)
    whole[y0:y1, x0:x1] = masks.coverage(found.masks[i], found.boxes[i], region, *SIZE, dtype=np.uint16) / 65535
    return whole


def test_ids_are_those_of_the_specification():
    known = {"bunny": "13851a76", "default": "42c9679f", "bunny_porcelain_mat": "b24b26d4"}
    assert {name: f"{id_bits(name):08x}" for name in known} == known
    assert f"{np.float32(id_of('bunny')).view(np.uint32):08x}" == "13851a76"


def test_no_id_is_a_number_that_cannot_be_compared():
    ids = np.array([id_of(f"person#{i}") for i in range(20000)])
    exponents = ids.view(np.uint32) >> 23 & 0xFF
    assert np.isfinite(ids).all()
    assert exponents.min() >= 1  # denormals are flushed to 0 by some
    hashed = {name: id_bits(name) for name in ("person#1", "car#2")}
    assert len(set(hashed.values())) == 2


def test_each_is_found_under_its_name_and_covers_what_the_front_leaves(tmp_path):
    found = instances([[10.0, 10.0, 60.0, 50.0], [30.0, 20.0, 90.0, 60.0], [2.0, 2.0, 12.0, 14.0]])
    helpers.write(tmp_path / "%d.exr", [helpers.result(PICTURE, found, [2, 0, 1])])
    read = helpers.mattes(tmp_path / "0.exr")
    own = [coverage(found, i) for i in range(3)]
    expected = {
        "car#2": own[1],
        "dog#3": own[2] * (1 - own[1]),
        "person#1": own[0] * (1 - own[1]) * (1 - own[2]),
    }
    assert set(read) == {"CryptoObject", "CryptoClass"}
    for name, matte in expected.items():
        np.testing.assert_allclose(read["CryptoObject"][name], matte, atol=1e-6)
        np.testing.assert_allclose(read["CryptoClass"][name.partition("#")[0]], matte, atol=1e-6)
    assert sum(read["CryptoObject"].values()).max() <= 1 + 1e-6


def test_a_class_covers_what_all_its_tracks_do(tmp_path):
    found = instances([[10.0, 10.0, 60.0, 50.0], [4.0, 4.0, 5.0, 5.0], [4.0, 4.0, 5.0, 5.0], [30.0, 20.0, 90.0, 60.0]])
    helpers.write(tmp_path / "%d.exr", [helpers.result(PICTURE, found)])  # instances 0 and 3 are persons
    read = helpers.mattes(tmp_path / "0.exr")
    first, last = coverage(found, 0), coverage(found, 3)
    np.testing.assert_allclose(read["CryptoClass"]["person"], first + last * (1 - first), atol=1e-6)


def test_ranks_fall_and_the_least_is_left_out():
    ranks, region = Ranks(4, 1, 2, np.zeros((1, 4), np.float32)), (1, 0, 4, 1)
    for name, part in (("a", 0.2), ("b", 0.5), ("c", 0.3)):
        ranks.add(name, region, np.array([[part, 0, part]], np.float32))
    channels = ranks.channels("X")
    assert list(channels) == ["X00.R", "X00.G", "X00.B", "X00.A"]
    np.testing.assert_array_equal(channels["X00.R"], [[0, id_of("b"), 0, id_of("b")]])
    np.testing.assert_allclose(channels["X00.G"], [[0, 0.5, 0, 0.5]])
    np.testing.assert_array_equal(channels["X00.B"], [[0, id_of("c"), 0, id_of("c")]])
    np.testing.assert_allclose(channels["X00.A"], [[0, 0.3, 0, 0.3]])


@pytest.mark.parametrize("ranks", [2, 6, 8])
def test_the_number_of_layers_is_that_of_the_ranks_in_every_frame(ranks, tmp_path):
    results = [
        helpers.result(PICTURE, instances([]), index=0),
        helpers.result(PICTURE, instances([[10.0, 10.0, 60.0, 50.0]]), index=1),
    ]
    helpers.write(tmp_path / "%d.exr", results, exr=ExrOptions(ranks=ranks))
    for number in (0, 1):
        names = [name for name in helpers.channels(tmp_path / f"{number}.exr") if name.startswith("CryptoObject")]
        assert len(names) == 2 * ranks
        assert all(m.num_levels() == ranks for m in cryptomatte_api.Cryptomatte.load(str(tmp_path / f"{number}.exr")))


@pytest.mark.parametrize("ranks", [0, 3, 18])
def test_ranks_that_fill_no_layer_are_refused(ranks):
    with pytest.raises(ConfigError, match="even number from 2 to 16"):
        ExrOptions(ranks=ranks)


def test_names_of_any_letters_stand_in_the_manifest():
    written = metadata("CryptoObject", ['Jörg "J", 2', "人"])
    manifest = json.loads(written["cryptomatte/3ae39a5/manifest"])
    assert manifest == {name: f"{id_bits(name):08x}" for name in ('Jörg "J", 2', "人")}
