"""What a person does on the page, over cameras that stand in for real ones."""

from __future__ import annotations

import re
import time

import pytest

from tests.browser.proxy import proxied

pytestmark = pytest.mark.long
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs pip install axe-playwright-python")


OVERLAY = {"fill": 0.4, "label": "{name} {id}"}
"""What is drawn as usual, as far as it is not the effect's own default."""


def until(true, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def serious(page):
    """What axe finds that keeps people out."""
    found = axe.Axe().run(page).response["violations"]
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def test_a_lost_camera_tells_why_and_shows_no_picture(browse, serve):
    page = browse(serve().link)
    tile = page.locator(".tile", has_text="gone")
    tile.get_by_text(re.compile("No picture since .*2 min")).wait_for()
    assert "connection refused by 10.0.0.7; trying again" in tile.inner_text()
    assert not tile.locator("canvas").is_visible()
    assert "fps" not in tile.inner_text()
    assert page.locator("#health").inner_text() == "3 cameras, 1 away: gone"
    assert page.locator(".tile", has_text="door").locator("canvas").is_visible()


def test_a_click_names_an_object_and_hides_another(browse, serve, fake):
    page = browse(serve().link + "#/camera/door")
    page.locator("polygon.object[aria-label='person 1']").wait_for()
    box = page.locator(".lens svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 70 / 320, box["y"] + box["height"] * 100 / 180)
    card = page.get_by_role("region", name="person 1")
    card.get_by_label("Name").fill("Anna")
    card.get_by_role("button", name="Save name").click()
    page.get_by_role("button", name=re.compile(r"Anna \(person 1\)")).first.wait_for()
    assert fake.options("door")["names"] == {"1": "Anna"}
    page.get_by_role("button", name=re.compile("^car 2")).last.click()
    page.get_by_role("button", name="Hide", exact=True).click()
    page.locator("polygon.object[aria-label='car 2']").wait_for(state="detached")
    assert fake.options("door")["hide"] == [2]
    page.get_by_role("button", name="Show again").click()
    page.locator("polygon.object[aria-label='car 2']").wait_for()


def test_following_an_object_looks_closer(browse, serve):
    page = browse(serve().link + "#/camera/door")
    page.get_by_role("button", name=re.compile("^person 1")).last.click()
    page.get_by_role("button", name="Follow").click()
    page.get_by_role("button", name=re.compile("Following person 1")).wait_for()
    assert "scale" in page.locator(".lens").get_attribute("style")
    page.get_by_role("button", name=re.compile("Following person 1")).click()
    assert "scale" not in (page.locator(".lens").get_attribute("style") or "")


def test_a_line_is_drawn_by_keyboard_alone(browse, serve, fake):
    page = browse(serve().link + "#/camera/door")
    page.locator("polygon.object").first.wait_for()
    page.get_by_role("button", name="Line", exact=True).focus()
    page.keyboard.press("Enter")
    for key in ("Space", *["Shift+ArrowLeft"] * 4, "Space", *["Shift+ArrowRight"] * 8, "ArrowDown", "Space"):
        page.keyboard.press(key)
    page.keyboard.type("gate")
    page.keyboard.press("Enter")
    assert until(lambda: fake.options("door").get("lines"))
    assert fake.options("door")["lines"] == {"gate": [[0.3, 0.5], [0.7, 0.51]]}
    page.get_by_role("tab", name="In view").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Delete gate").press("Enter")
    assert until(lambda: not fake.options("door")["lines"])


def test_a_zone_is_drawn_moved_and_refused_in_a_sentence(browse, serve, fake):
    page = browse(serve().link + "#/camera/door")
    page.locator("polygon.object").first.wait_for()
    page.get_by_role("button", name="Zone", exact=True).click()
    box = page.locator(".lens svg").bounding_box()
    corners = [(0.5, 0.5), (0.9, 0.5), (0.9, 0.9), (0.5, 0.9)]
    for x, y in (*corners, corners[0]):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.get_by_label("Name", exact=True).fill("yard")
    page.get_by_label(re.compile("Report who stays")).fill("4")
    page.get_by_role("button", name="Save", exact=True).click()
    assert until(lambda: fake.options("door").get("zones"))
    zone = fake.options("door")["zones"]["yard"]
    assert zone["dwell"] == 4
    for point, wanted in zip(zone["points"], corners, strict=True):
        assert point == pytest.approx(wanted, abs=0.005)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Change yard").click()
    page.get_by_role("button", name="Move points").click()
    box = page.locator(".lens svg").bounding_box()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"], steps=4)
    page.mouse.up()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    assert until(lambda: fake.options("door")["zones"]["yard"]["points"][2][0] < 0.75)
    assert fake.options("door")["zones"]["yard"]["points"][2] == pytest.approx((0.7, 0.8), abs=0.005)


def test_classes_score_and_effects_change_while_it_runs(browse, serve, fake):
    page = browse(serve().link + "#/camera/door")
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("car", exact=True).uncheck()
    assert until(lambda: fake.options("door").get("classes") == ["person", "dog"])
    slider = page.get_by_label(re.compile("Score that an object needs"))
    slider.focus()
    slider.press("ArrowRight")
    assert until(lambda: fake.options("door").get("conf") == 0.55)
    page.get_by_label("Frames a second, at most").fill("5")
    page.get_by_label("Frames a second, at most").press("Enter")
    assert until(lambda: fake.options("door").get("max_rate") == 5)
    page.get_by_label("Rest the network while nothing moves").check()
    assert until(lambda: fake.options("door").get("motion") is True)
    page.get_by_label("Classes to cover").fill("person, dog")
    page.get_by_label("Classes to cover").press("Enter")
    assert until(lambda: fake.options("door").get("privacy") == {"classes": ["person", "dog"], "fill": "paint"})
    page.get_by_label("Covered by").select_option("pixelate")
    assert until(lambda: fake.options("door")["privacy"]["fill"] == "pixelate")
    page.get_by_label("Classes to cover").fill("")
    page.get_by_label("Classes to cover").press("Enter")
    assert until(lambda: "privacy" not in fake.options("door"))
    page.get_by_label("Effect to add").select_option("pixelate")
    page.get_by_role("button", name="Add effect").click()
    assert until(lambda: fake.options("door").get("effects") == [{"overlay": OVERLAY}, "pixelate"])
    page.get_by_role("button", name="Remove overlay").click()
    assert until(lambda: fake.options("door").get("effects") == ["pixelate"])
    page.get_by_role("button", name="Remove pixelate").click()
    assert until(lambda: fake.options("door").get("effects") == [])


def test_cameras_are_added_paused_and_removed(browse, serve, fake):
    page = browse(serve().link)
    page.get_by_role("button", name="Add camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("door")
    dialog.get_by_label("Source").fill("rtsp://10.0.0.9/main")
    dialog.get_by_role("button", name="Add camera").click()
    dialog.get_by_text("already").wait_for()
    dialog.get_by_label("Name").fill("lab")
    dialog.get_by_role("button", name="Add camera").click()
    page.get_by_role("heading", name="lab").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused", exact=True).first.wait_for()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_role("button", name="Remove this camera").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    page.locator(".wall").wait_for()
    assert until(lambda: "lab" not in [camera.name for camera in fake.cameras()])
    page.complaints.clear()  # the browser tells of the refused name


def test_a_lost_connection_shows_no_old_figures_and_comes_back(browse, serve):
    server = serve()
    page = browse(server.link)
    page.locator(".tile .figures", has_text="19.5 fps").first.wait_for()
    server.stop()
    page.get_by_text("The connection to streamseg is lost").wait_for()
    assert "fps" not in page.locator(".wall").inner_text()
    assert page.locator(".tile canvas:visible").count() == 0


def test_the_link_opens_with_its_token_alone(browse, serve):
    server = serve(token="sesame-open")
    page = browse(server.link.partition("?")[0])
    assert "open the link that streamseg prints" in page.inner_text("body")
    page = browse(server.link)
    page.locator(".tile", has_text="door").locator("canvas").wait_for()
    assert "token" not in page.url
    page.reload()
    page.locator(".tile", has_text="door").locator("canvas").wait_for()


def test_it_works_in_a_folder_behind_a_proxy(browse, serve, free_port):
    server = serve(token="sesame-open", url=f"http://127.0.0.1:{free_port}/street")
    with proxied(server.port, "/street", at=free_port):
        assert server.link.startswith(f"http://127.0.0.1:{free_port}/street/?token=")
        page = browse(server.link)
        page.locator(".tile .figures", has_text="19.5 fps").first.wait_for()
        page.get_by_role("link", name=re.compile("door")).first.click()
        page.locator("polygon.object").first.wait_for()
        assert page.url == f"http://127.0.0.1:{free_port}/street/#/camera/door"


def test_more_cameras_than_a_browser_has_connections(browse, serve, fake):
    for number in range(8):
        fake.add(f"extra{number}", {"source": str(number)})
        fake.say(f"extra{number}", state="watching", width=320, height=180)
        fake.feeds[f"extra{number}"] = fake.feeds["door"]
    page = browse(serve().link, 1600, 1400)
    drawn = "[...document.querySelectorAll('.tile canvas')].filter(c => c.offsetParent && c.width === 320).length"
    assert until(lambda: page.evaluate(drawn) == 10)
    page.get_by_role("link", name=re.compile("door")).first.click()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("car", exact=True).uncheck()
    assert until(lambda: fake.options("door").get("classes"), 3)


def test_a_tab_that_nobody_sees_takes_no_pictures_and_comes_back_at_once(browse, serve, fake):
    page = browse(serve().link)
    page.locator(".tile canvas:visible").first.wait_for()
    assert until(lambda: fake.feeds["door"].watchers == 1)
    hide = "hidden => {Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))}"
    page.evaluate(hide, True)
    assert until(lambda: fake.feeds["door"].watchers == 0)
    page.evaluate(hide, False)
    assert until(lambda: fake.feeds["door"].watchers == 1, 2)


def test_it_fits_a_phone(browse, serve):
    page = browse(serve().link, 360, 740, has_touch=True, is_mobile=True, device_scale_factor=2)
    tile = page.locator(".tile", has_text="door")
    tile.locator("canvas").wait_for()
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(wide)
    tile.locator("a").tap()
    page.get_by_role("heading", name="door").wait_for()
    for tab in ("In view", "Settings", "Events"):
        page.get_by_role("tab", name=tab).tap()
        assert page.evaluate(wide), tab
    small = "[...document.querySelectorAll('button, select')].filter(e => e.offsetParent && e.offsetHeight < 30).length"
    assert page.evaluate(small) == 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_keeps_people_out(browse, serve, scheme):
    page = browse(serve().link, color_scheme=scheme)
    page.locator(".tile canvas:visible").first.wait_for()
    assert serious(page) == []
    page.get_by_role("button", name="Add camera").click()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name=re.compile("door")).first.click()
    page.locator("polygon.object").first.wait_for()
    for tab in ("In view", "Settings", "Events"):
        page.get_by_role("tab", name=tab).click()
        assert serious(page) == [], tab
    page.get_by_role("button", name="Zone", exact=True).click()
    assert serious(page) == []
