"""How Home Assistant finds a camera: the message of its MQTT device discovery, one for each camera.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (since its version 2024.11). Everything is in words, not
in abbreviations. The state topics are those of `topics`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from streamseg.config.live_tell import KINDS
from streamseg.live.news import State
from streamseg.live.tell.settings import SETTINGS
from streamseg.live.tell.topics import level
from streamseg.system.version import installed_version

__all__ = ["device_topic", "discovery"]

_ALWAYS = ("state", "connection", "pause")
"""Of use while the camera is away, too."""
_DIAGNOSTIC = {"entity_category": "diagnostic"}


def device_topic(prefix: str, base: str, camera: str) -> str:
    """Where the message of a camera stands."""
    return f"{prefix}/device/{_device_id(base, camera)}/config"


def discovery(
    base: str,
    camera: str,
    topics: Iterable[str],
    names: Mapping[str, str],
    before: Mapping[str, str],
    *,
    control: bool,
    thumbnails: bool,
) -> dict[str, Any]:
    """The message.

    topics: what is told of the camera, below BASE/CAMERA/. names: level of a topic → what people call it. before: id → platform of
    the entities of an earlier message: those that are gone are named once more without more, which removes them.
    """
    root, device = f"{base}/{level(camera)}", _device_id(base, camera)
    entities = _entities(root, control, thumbnails) | _numbers(root, topics, names)
    program = {"topic": f"{base}/status"}
    for name, entity in entities.items():
        entity["unique_id"] = f"{device}_{name}"
        if name in _ALWAYS:
            entity["availability"] = [program]
    gone: dict[str, Any] = {name: {"platform": platform} for name, platform in before.items() if name not in entities}
    return {
        "device": {"identifiers": [device], "name": camera, "manufacturer": "streamseg", "model": "camera"},
        "origin": {"name": "streamseg", "sw_version": installed_version()},
        "availability": [program, {"topic": f"{root}/available"}],
        "availability_mode": "all",
        "components": entities | gone,
    }


def _device_id(base: str, camera: str) -> str:
    # Of two programs at one broker each has its own, also where both call a camera "door".
    return f"streamseg_{hashlib.sha256(base.encode()).hexdigest()[:6]}_{level(camera)}"


def _entities(root: str, control: bool, thumbnails: bool) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {
        "state": {
            "platform": "sensor",
            "name": "State",
            "state_topic": f"{root}/state",
            "device_class": "enum",
            "options": list(get_args(State)),
            "json_attributes_topic": f"{root}/status",
        }
        | _DIAGNOSTIC,
        "connection": {
            "platform": "binary_sensor",
            "name": "Connection",
            "state_topic": f"{root}/available",
            "payload_on": "online",
            "payload_off": "offline",
            "device_class": "connectivity",
        }
        | _DIAGNOSTIC,
        "rate": _figure(root, "Frame rate", "{{ value_json.rate }}", "fps"),
        "latency": _figure(root, "Latency", "{{ value_json.latency_ms.p95 | default(None) }}", "ms")
        | {"device_class": "duration"},
        "events": {
            "platform": "event",
            "name": "Event",
            "state_topic": f"{root}/events",
            "event_types": list(KINDS),
        },
    }
    if thumbnails:
        found["thumbnail"] = {
            "platform": "image",
            "name": "Last event",
            "image_topic": f"{root}/thumbnail",
            "content_type": "image/jpeg",
        }
    if control:
        for each in SETTINGS:
            topics = {"state_topic": f"{root}/{each.name}/state", "command_topic": f"{root}/{each.name}/set"}
            entity = {"platform": each.platform, "name": each.title, "entity_category": "config"}
            found[each.name] = entity | topics | dict(each.details)
    return found


def _figure(root: str, name: str, template: str, unit: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": f"{root}/status",
        "value_template": template,
        "unit_of_measurement": unit,
        "state_class": "measurement",
    } | _DIAGNOSTIC


_TITLES = {"count": ("{0}", "measurement"), "total": ("{0} in all", "total_increasing"), "zone": ("{0}", "measurement")}


def _numbers(root: str, topics: Iterable[str], names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """A sensor for each class, zone and direction of a line that is told of."""
    found = {}
    for topic in sorted(topics):
        kind, *rest = topic.split("/")
        if kind not in (*_TITLES, "line") or not rest:
            continue
        title, state = _TITLES.get(kind, ("{0}: {1}", "total_increasing"))
        words = [names.get(part, part) for part in rest]
        found["_".join((kind, *rest))] = {
            "platform": "sensor",
            "name": title.format(*words).capitalize() if kind in ("count", "total") else title.format(*words),
            "state_topic": f"{root}/{topic}",
            "state_class": state,
        }
    return found
