"""The columns of the Parquet tables, and what a frame is in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamseg.encode.results.event_cells import DETAILS

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.scene import Scene

__all__ = ["EVENTS", "FRAMES", "INSTANCES", "Columns", "frame_row", "schema_of"]

Columns = tuple[tuple[str, str], ...]
"""Name and Arrow's type of each; `utc`: microseconds since 1970, UTC."""


def _columns(kind: str, names: str) -> Columns:
    return tuple((name, kind) for name in names.split())


_TIME: Columns = (
    *_columns("int64", "frame pts"),
    ("time", "float64"),
    ("utc", "utc"),
    ("epoch", "int32"),
    ("detected", "bool"),
    *_columns("int32", "width height"),
)
INSTANCES: Columns = (
    *_TIME,
    ("track_id", "int64"),
    *_columns("string", "class name"),
    ("label", "int32"),
    *_columns("float32", "score track_score"),
    ("doubtful", "bool"),
    *_columns("float32", "x0 y0 x1 y1 visible"),
    ("occluded_by", "int64"),
    ("order", "int32"),
    ("at_border", "bool"),
    *_columns("float32", "extent_x0 extent_y0 extent_x1 extent_y1"),
    *_columns("float32", "growth growth_std ttc ttc_std distance distance_std lateral lateral_std speed speed_std in_path"),
    ("alert", "int8"),
    ("mask", "string"),
)
"""`mask`: the counts of COCO's run lengths, whose size is [height, width]."""
FRAMES: Columns = (
    *_TIME,
    ("objects", "int32"),
    ("lost", "string"),
    ("lead", "int64"),
    *_columns("int32", "cautions warnings hidden"),
    *_columns("float32", "own_speed pitch yaw roll turn_std focus_x focus_y moving"),
    *_columns("float32", "horizon_y horizon_slope horizon_y_std vanishing_x vanishing_x_std"),
    *_columns("float64", "latitude longitude altitude"),
    *_columns("float32", "gps_speed heading accuracy"),
)
EVENTS: Columns = (
    ("time", "float64"),
    ("utc", "utc"),
    ("frame", "int64"),
    ("kind", "string"),
    ("track", "int64"),
    *_columns("string", "name class place direction"),
    ("seconds", "float64"),
    *_columns("float64", " ".join(DETAILS)),
    ("details", "string"),
)
"""`details`: a JSON object of the numbers without a column."""


def schema_of(columns: Columns) -> Any:
    """As Arrow has it; each may be null."""
    import pyarrow

    def kind(name: str) -> Any:
        return pyarrow.timestamp("us", tz="UTC") if name == "utc" else getattr(pyarrow, _ARROW.get(name, name))()

    return pyarrow.schema([(name, kind(told)) for name, told in columns])


_ARROW = {"bool": "bool_"}


def frame_row(result: Result) -> dict[str, Any]:
    """What is known of a frame, for `FRAMES`; the first of it for all tables."""
    frame, scene = result.frame, result.scene
    fix = None if scene is None else scene.fix
    utc = frame.utc if frame.utc is not None or fix is None else fix.utc
    row: dict[str, Any] = {
        "frame": frame.index,
        "pts": frame.pts,
        "time": frame.time,
        "utc": None if utc is None else round(1e6 * utc),
        "epoch": frame.epoch,
        "detected": result.detected,
        "width": frame.width,
        "height": frame.height,
        "objects": len(result),
        "lost": frame.lost or None,
    }
    return row if scene is None else row | _scene_row(scene)


def _scene_row(scene: Scene) -> dict[str, Any]:
    turn, horizon, fix = scene.turn, scene.horizon, scene.fix
    row: dict[str, Any] = {
        "lead": scene.lead or None,
        "cautions": int((scene.alert == 1).sum()),
        "warnings": int((scene.alert == 2).sum()),
        "hidden": len(scene.hidden),
        "own_speed": scene.own_speed,
    }
    if turn is not None:
        row |= {"pitch": turn.pitch, "yaw": turn.yaw, "roll": turn.roll, "turn_std": turn.std, "moving": turn.moving}
        row |= {} if turn.focus is None else {"focus_x": turn.focus[0], "focus_y": turn.focus[1]}
    if horizon is not None:
        row |= {"horizon_y": horizon.y, "horizon_slope": horizon.slope, "horizon_y_std": horizon.y_std}
        row |= {} if horizon.x is None else {"vanishing_x": horizon.x, "vanishing_x_std": horizon.x_std}
    if fix is not None:
        row |= {"latitude": fix.latitude, "longitude": fix.longitude, "altitude": fix.altitude}
        row |= {"gps_speed": fix.speed, "heading": fix.heading, "accuracy": fix.accuracy}
    return row
