"""The description of the JSON API (OpenAPI 3.1), and the one table of its operations, from which the routes are made, too."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

from streamseg.live.news import CameraStatus

__all__ = ["OPERATIONS", "Operation", "describe"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    path: str
    method: str
    name: str
    """The method of `Api`."""
    does: str
    query: tuple[tuple[str, str, str], ...] = ()
    """Name, JSON type, what it means."""
    body: str = ""
    """The schema of what is sent."""
    gives: str = ""
    """The schema of the answer; empty: something else than JSON."""
    status: int = 200
    open: bool = False
    """Asked without a token, too."""


_SEARCH = (
    ("text", "string", "words, all of which must occur"),
    ("since", "number", "seconds since 1970, UTC"),
    ("until", "number", "seconds since 1970, UTC"),
    ("camera", "string", "name of a camera"),
    ("limit", "integer", "at most so many, 100 by default, 500 at most"),
)

OPERATIONS: tuple[Operation, ...] = (
    Operation("/api/about", "GET", "about", "Version, effects with their options, and how moving pictures can be had"),
    Operation("/api/cameras", "GET", "cameras", "How all cameras are", gives="Cameras"),
    Operation("/api/cameras", "POST", "cameras", "Watch one more camera", body="NewCamera", gives="Camera", status=201),
    Operation("/api/cameras/{name}", "GET", "camera", "How one camera is, and what it runs with", gives="Camera"),
    Operation("/api/cameras/{name}", "PATCH", "camera", "Change its options; null: as usual", body="Options", gives="Camera"),
    Operation("/api/cameras/{name}", "DELETE", "camera", "Watch it no more", status=204),
    Operation("/api/cameras/{name}/pause", "POST", "pause", "Let go of the camera until it is resumed", gives="Camera"),
    Operation("/api/cameras/{name}/resume", "POST", "resume", "Watch it again, or try a failed one once more", gives="Camera"),
    Operation("/api/cameras/{name}/instances", "GET", "instances", "What is seen in the newest frame", gives="Instances"),
    Operation("/api/events", "GET", "events", "What happened, the newest first", _SEARCH, gives="Events"),
    Operation("/api/events/{id}/thumbnail.jpg", "GET", "thumbnail", "The object of an event (JPEG)"),
    Operation("/api/events/{id}/clip", "GET", "clip", "The film of an event, where it was recorded"),
    Operation("/health", "GET", "health", "Whether all cameras are watched; 503 where one is away", gives="Health", open=True),
    Operation("/healthz", "GET", "alive", "The program runs", open=True),
    Operation("/readyz", "GET", "ready", "Every camera was tried; 503 before", open=True),
)

_JSON_TYPES: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


def describe(version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "streamseg live",
            "version": version,
            "description": "Cameras that are watched: how they are, what they run with, what happened. News come over the "
            "WebSocket /api/news; pictures are at /live/NAME.jpg, /live/NAME.mjpg.",
        },
        "servers": [{"url": ".."}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", operation.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    parameters += [{"name": n, "in": "query", "description": d, "schema": {"type": t}} for n, t, d in operation.query]
    answer: dict[str, Any] = {"description": operation.does}
    if operation.gives:
        answer["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.gives}"}}}
    refused = {"description": "Why not", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    answers: dict[str, Any] = {str(operation.status): answer}
    if names:
        answers["404"] = refused
    if operation.body:
        answers |= {"413": refused, "415": refused, "422": refused}
    described: dict[str, Any] = {
        "operationId": operation.name + ("" if operation.method == "GET" else f"_{operation.method.lower()}"),
        "summary": operation.does,
        "parameters": parameters,
        "responses": answers,
    }
    if operation.body:
        schema = {"$ref": f"#/components/schemas/{operation.body}"}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.open:
        described["security"] = [{}]
    return described


def _schemas() -> dict[str, Any]:
    any_object: dict[str, Any] = {"type": "object"}
    status = {"$ref": "#/components/schemas/Status"}
    return {
        "Status": _status(),
        "Cameras": {"type": "array", "items": status},
        "Options": any_object | {"description": "As under `cameras: NAME:` of cameras.yaml; no credentials in answers"},
        "Camera": any_object
        | {
            "properties": {
                "status": status,
                "options": {"$ref": "#/components/schemas/Options"},
                "drawn": {"type": "array", "description": "The effects that are drawn, also where no option says so"},
            }
        },
        "NewCamera": any_object
        | {
            "required": ["name", "options"],
            "additionalProperties": False,
            "properties": {"name": {"type": "string"}, "options": {"$ref": "#/components/schemas/Options"}},
        },
        "Instances": any_object,
        "Events": {"type": "array", "items": any_object},
        "Health": any_object | {"properties": {"ok": {"type": "boolean"}, "cameras": any_object}},
        "Error": any_object | {"required": ["error"], "properties": {"error": {"type": "string"}}},
    }


def _status() -> dict[str, Any]:
    hints = get_type_hints(CameraStatus)
    kinds = {each.name: _JSON_TYPES.get(hints[each.name], {"type": "object"}) for each in fields(CameraStatus)}
    states = list(hints["state"].__args__)
    needed = [each.name for each in fields(CameraStatus) if each.default is MISSING and each.default_factory is MISSING]
    return {"type": "object", "required": needed, "properties": kinds | {"state": {"type": "string", "enum": states}}}
