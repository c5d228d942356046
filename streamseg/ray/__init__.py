"""Films and pictures as rows of a Ray Data pipeline: `read` for films, `Segment` for pictures that are rows already.

    import streamseg.ray

    rows = streamseg.ray.read("films/", pipeline="drive")
    rows.write_parquet("found/")

Needs the extra `cluster`.
"""

from streamseg.ray.read import read
from streamseg.ray.rows import row_schema
from streamseg.ray.segment import Segment

__all__ = ["Segment", "read", "row_schema"]
