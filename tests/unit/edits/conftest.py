from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamseg.record import Results, open_results
from tests.unit.edits import story


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    with open_results(story.results_file(tmp_path_factory.mktemp("film") / "film.streamseg")) as found:
        yield found
