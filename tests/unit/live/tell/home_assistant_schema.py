"""What Home Assistant takes: the documented keys of its MQTT device discovery and of the platforms that are used, as JSON Schema.

Written from its documentation (home-assistant.io/integrations/mqtt, and sensor.mqtt, binary_sensor.mqtt, event.mqtt, image.mqtt,
number.mqtt, switch.mqtt, text.mqtt) and compared with the checks of its release 2024.11.3. It is stricter than they are: a key that
is not known, which Home Assistant would leave out without a word, is an error.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_TOPIC = {"type": "string", "minLength": 1, "maxLength": 65535, "pattern": r"^[^+#\u0000-\u001f\u007f-\u009f]+$"}
_AVAILABILITY = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["topic"],
        "properties": {
            "topic": _TOPIC,
            "payload_available": _TEXT,
            "payload_not_available": _TEXT,
            "value_template": _TEXT,
        },
    },
}
_SHARED = {"availability": _AVAILABILITY, "availability_mode": {"enum": ["all", "any", "latest"]}}
_COMMON = _SHARED | {
    "platform": _TEXT,
    "unique_id": _TEXT,
    "name": {"type": ["string", "null"], "minLength": 1},
    "icon": {"type": "string", "pattern": "^mdi:"},
    "enabled_by_default": {"type": "boolean"},
    "json_attributes_topic": _TOPIC,
    "json_attributes_template": _TEXT,
    "qos": {"enum": [0, 1, 2]},
    "value_template": _TEXT,
}
_READ_ONLY = {"entity_category": {"const": "diagnostic"}}
_SETTABLE = {
    "entity_category": {"enum": ["config"]},
    "command_topic": _TOPIC,
    "command_template": _TEXT,
    "retain": {"const": False},
}


def _platform(name: str, required: list[str], properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    entity = {
        "additionalProperties": False,
        "required": ["platform", "unique_id", "name", *required],
        "properties": _COMMON | {"state_topic": _TOPIC} | properties,
    }
    return {"if": {"properties": {"platform": {"const": name}}}, "then": entity | more}


_SENSOR = {
    "device_class": {"enum": ["enum", "duration"]},
    "state_class": {"enum": ["measurement", "total", "total_increasing"]},
    "unit_of_measurement": {"enum": ["fps", "ms"]},
    "options": {"type": "array", "minItems": 1, "items": _TEXT},
    "expire_after": {"type": "integer", "minimum": 1},
    "force_update": {"type": "boolean"},
}
_PLATFORMS = [
    _platform(
        "sensor",
        ["state_topic"],
        _SENSOR | _READ_ONLY,
        dependentSchemas={
            "options": {
                "properties": {"device_class": {"const": "enum"}, "state_class": False, "unit_of_measurement": False},
                "required": ["device_class"],
            }
        },
    ),
    _platform(
        "binary_sensor",
        ["state_topic"],
        {"device_class": {"enum": ["connectivity"]}, "payload_on": _TEXT, "payload_off": _TEXT} | _READ_ONLY,
    ),
    _platform("event", ["state_topic", "event_types"], {"event_types": {"type": "array", "minItems": 1, "items": _TEXT}}),
    _platform("image", ["image_topic"], {"image_topic": _TOPIC, "content_type": _TEXT, "state_topic": False}),
    _platform("switch", ["command_topic"], {"payload_on": _TEXT, "payload_off": _TEXT} | _SETTABLE),
    _platform(
        "number",
        ["command_topic"],
        {
            "min": {"type": "number"},
            "max": {"type": "number"},
            "step": {"type": "number", "minimum": 0.001},
            "mode": {"enum": ["auto", "box", "slider"]},
        }
        | _SETTABLE,
    ),
    _platform(
        "text",
        ["command_topic"],
        {
            "min": {"type": "integer", "minimum": 0},
            "max": {"type": "integer", "maximum": 255},
            "pattern": _TEXT,
            "mode": {"enum": ["text", "password"]},
        }
        | _SETTABLE,
    ),
]
_GONE = {"additionalProperties": False, "required": ["platform"], "properties": {"platform": _TEXT}}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["device", "origin", "components"],
    "properties": _SHARED
    | {
        "device": {
            "type": "object",
            "additionalProperties": False,
            "required": ["identifiers"],
            "properties": {
                "identifiers": {"type": "array", "minItems": 1, "items": _TEXT},
                **dict.fromkeys(("name", "manufacturer", "model", "hw_version", "sw_version", "serial_number"), _TEXT),
                **dict.fromkeys(("suggested_area", "via_device", "configuration_url"), _TEXT),
            },
        },
        "origin": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": _TEXT, "sw_version": _TEXT, "support_url": _TEXT},
        },
        "components": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-zA-Z0-9_-]+$"},
            "additionalProperties": {
                "type": "object",
                "required": ["platform"],
                "properties": {"platform": {"enum": ["sensor", "binary_sensor", "event", "image", "switch", "number", "text"]}},
                "if": {"maxProperties": 1},
                "then": _GONE,
                "else": {"allOf": _PLATFORMS},
            },
        },
    },
}
DISCOVERY_TOPIC = r"homeassistant/device/[a-zA-Z0-9_-]+/config"
