"""How Rerun's viewer lays a log out before anybody changes it. Without that it shows the masks apart from the picture."""

from __future__ import annotations

from typing import Any

from rerun import blueprint as rrb

from streamseg.encode.logs.rerun_columns import CAMERA

__all__ = ["layout"]


def layout(*, road: bool, camera: bool) -> Any:
    """The picture with all that is drawn on it, the events below; at the side the curves, and what is known of the `road`.

    `camera`: where the camera is on the road is known, so that its picture can be shown there. There is no map: the viewer would
    fetch one from the network.
    """
    picture = rrb.Vertical(
        rrb.Spatial2DView(origin=CAMERA, name="camera"), rrb.TextLogView(origin="events", name="events"), row_shares=[4, 1]
    )
    curves: list[Any] = [rrb.TimeSeriesView(origin="counts", name="counts")]
    if road:
        shown = "+ $origin/**" if camera else "+ $origin/users/**"
        curves = [
            rrb.Spatial3DView(origin="world", name="road, metres", contents=[shown]),
            rrb.TimeSeriesView(origin="ttc", name="seconds to collision"),
            rrb.TimeSeriesView(origin="distance", name="distance, metres"),
            *curves,
        ]
    return rrb.Blueprint(rrb.Horizontal(picture, rrb.Vertical(*curves), column_shares=[3, 1]), collapse_panels=True)
