"""The page's files: all that they name is there, and nothing comes from elsewhere."""

import re
from importlib import resources
from pathlib import Path

import pytest

STATIC = Path(str(resources.files("streamseg.live.web").joinpath("static")))
FILES = sorted(path for path in STATIC.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg"))


def named(path):
    """What a file loads, as paths."""
    text = path.read_text()
    if path.suffix == ".html":
        found = re.findall(r'(?:href|src)="([^"#]+)"', text)
    else:
        found = re.findall(r'^import .*?from "([^"]+)"|import\("([^"]+)"\)', text, re.M)
        found = [one or other for one, other in found]
    return [(path.parent / each).resolve() for each in found]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_file_loads_is_there_and_nothing_else(path):
    assert all(each in FILES for each in named(path)), named(path)
    text = path.read_text().replace('"http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"""(?:https?:)?//[\w-]+\.[\w.-]+/|@import|url\(\s*['"]?http""", text)
    assert not re.findall(r"\.innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\(| style=", text)


def test_every_file_is_loaded_by_the_page():
    seen, todo = set(), [STATIC / "index.html"]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += named(path) if path.suffix in (".html", ".js") else []
    assert seen == set(FILES)


def test_they_are_served_as_what_they_are(client):
    kinds = {"": "text/html", "js/app.js": "text/javascript", "css/base.css": "text/css", "icon.svg": "image/svg+xml"}
    for path, kind in kinds.items():
        answer = client.get(f"/{path}")
        assert answer.headers["content-type"].startswith(kind), path
        assert answer.headers["cache-control"] == "no-cache"
    assert client.get("/../app.py").status_code == 404
    assert client.get("/%2e%2e/app.py").status_code == 404
