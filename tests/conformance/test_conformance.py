"""One test a row: what comes out is what the source asks for, and what the reference holds."""

from pathlib import Path

import pytest

from tests.conformance.perform import Workshop, perform, rows


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(Path(tmp_path_factory.mktemp("sources")))


def _marked(row):
    marks = [pytest.mark.xfail(strict=True, reason=f"known fault {row.fails}")] if row.fails else []
    return pytest.param(row, id=row.id, marks=marks)


@pytest.mark.parametrize("row", [_marked(row) for row in rows().values()])
def test_row(row, workshop):
    verdict = perform(row, workshop)
    assert not verdict.wrong, "\n".join([row.id, *verdict.wrong])
    # A row that is known to fail has no reference; once it gives what it should, the mark has to go.
    assert row.fails or not verdict.changed, "\n".join([row.id, *verdict.changed])
