"""The page over cameras that are really watched: pictures move, counts are those of the results, what is drawn counts."""

from __future__ import annotations

import json
import re
import time

import pytest

import streamseg

pytestmark = pytest.mark.long

RED = """() => {
    const shown = document.querySelector('.lens video:not([hidden]), .lens canvas:not([hidden])');
    if (!shown) return null;
    const copy = Object.assign(document.createElement('canvas'), {width: 320, height: 180});
    const context = copy.getContext('2d');
    context.drawImage(shown, 0, 0, 320, 180);
    const data = context.getImageData(0, 140, 320, 1).data;
    let sum = 0, count = 0;
    for (let x = 0; x < 320; x++)
        if (data[4 * x] > data[4 * x + 1] + 50 && data[4 * x] > data[4 * x + 2] + 50) { sum += x; count++; }
    return count ? sum / count : null;
}"""
"""Where the red box is in the large picture, 0 to 320."""


def until(true, seconds=20.0):
    """What is wanted, as soon as it is true. The page lets nothing be evaluated in it, so that it cannot wait by itself."""
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def places(page, seconds=2.5):
    """Where the red box was seen, over some seconds."""
    seen, deadline = set(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (x := page.evaluate(RED)) is not None:
            seen.add(round(x / 4))
        page.wait_for_timeout(60)
    return seen


@pytest.mark.parametrize(("way", "element"), [("mse", "video"), ("jpeg", "canvas")])
def test_the_large_picture_moves(browse, watch, film, way, element):
    _, address = watch({"door": {"source": str(film), "loop": True, "effects": []}})
    page = browse(address + "#/camera/door")
    page.get_by_label("How the picture comes").select_option(way)
    assert until(lambda: page.evaluate(RED) is not None)
    assert page.locator(f".lens {element}").is_visible()
    assert len(places(page)) > 5
    assert page.locator(".lens video:visible, .lens canvas:visible").count() == 1
    assert page.locator(".toast").count() == 0


def test_the_wall_moves_beside_a_camera_that_is_away(browse, watch, film):
    _, address = watch({"door": {"source": str(film), "loop": True}, "off": "rtsp://u:secret@127.0.0.1:9/x"})
    page = browse(address)
    look = "document.querySelector('.tile canvas').toDataURL()"
    page.locator(".tile .figures", has_text="fps").first.wait_for(timeout=20000)
    first = page.evaluate(look)
    assert until(lambda: page.evaluate(look) != first)
    page.locator(".tile", has_text="off").get_by_text(re.compile("connection refused")).wait_for()
    assert "secret" not in page.content()


def test_counts_agree_with_the_results(browse, watch, film, model, tmp_path):
    streamseg.run(film, tmp_path / "seen.jsonl", pipeline="live", model=str(model), threads=1, realtime=False)
    lines = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    totals = [line["total"] for line in lines if "total" in line][-1]
    assert totals
    _, address = watch({"door": {"source": str(film)}})
    page = browse(address + "#/camera/door")
    page.get_by_text(re.compile("Stopped")).first.wait_for(timeout=30000)
    wanted = "counted: " + ", ".join(f"{number} {name}" for name, number in totals.items())
    page.get_by_text(re.compile(re.escape(wanted))).wait_for()


def test_a_zone_drawn_with_the_mouse_yields_an_event(browse, watch, film):
    live, address = watch({"door": {"source": str(film), "loop": True}})
    page = browse(address + "#/camera/door")
    assert until(lambda: page.evaluate(RED) is not None)
    page.get_by_role("button", name="Zone", exact=True).click()
    box = page.locator(".lens svg").bounding_box()
    for x, y in ((0.4, 0.3), (0.7, 0.3), (0.7, 0.95), (0.4, 0.95), (0.4, 0.3)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.get_by_label("Name", exact=True).fill("middle")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("tab", name="Events").click()
    page.get_by_text(re.compile(r"entered middle")).first.wait_for(timeout=20000)
    assert live.options("door")["zones"].keys() == {"middle"}


def test_what_nobody_may_see_is_covered_while_it_runs(browse, watch, film):
    live, address = watch({"door": {"source": str(film), "loop": True, "effects": []}})
    page = browse(address + "#/camera/door")
    assert until(lambda: page.evaluate(RED) is not None)
    name = live.feed("door").latest().names[0]
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Classes to cover").fill(name)
    page.get_by_label("Classes to cover").press("Enter")
    assert until(lambda: live.options("door").get("privacy"))
    assert until(lambda: page.evaluate(RED) is None)
    assert places(page, 1.5) == set()
    page.get_by_label("Classes to cover").fill("unicorn")
    page.get_by_label("Classes to cover").press("Enter")
    page.get_by_text(re.compile("unicorn.*(unknown|not)|(unknown|no) .*unicorn")).wait_for()
    page.complaints.clear()
