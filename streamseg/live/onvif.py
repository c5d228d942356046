"""Asks a camera that speaks ONVIF for the addresses of its streams; needs the extra `onvif` (onvif-zeep-async)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamseg.errors import MissingExtra, SourceError
from streamseg.errors.credentials import shown

if TYPE_CHECKING:
    from streamseg.live.discover import NetworkCamera

__all__ = ["CameraStream", "streams_of"]

_SETUP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}


@dataclass(frozen=True, slots=True)
class CameraStream:
    """One of the streams of a camera."""

    name: str
    address: str
    """As the camera tells it; of one with a password, `user:password@` belongs before the host."""
    codec: str = ""
    width: int = 0
    height: int = 0
    rate: float = 0.0
    """Frames a second, at most."""


def streams_of(camera: NetworkCamera, user: str = "", password: str = "", timeout: float = 10.0) -> list[CameraStream]:
    """Its streams, as it lists them.

    Raises MissingExtra, or SourceError: wrong password, no answer within `timeout` seconds, or one that is not understood.
    """
    if find_spec("onvif") is None:
        raise MissingExtra("onvif")
    return asyncio.run(_asked(camera, user, password, timeout))


async def _asked(camera: NetworkCamera, user: str, password: str, timeout: float) -> list[CameraStream]:
    import aiohttp
    from onvif import ONVIFCamera
    from onvif.exceptions import ONVIFAuthError, ONVIFError
    from zeep.exceptions import Error

    logging.getLogger("zeep").setLevel(logging.ERROR)  # it warns of each camera that answers a little otherwise
    parts = urlsplit(camera.service)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"https://{parts.hostname}" if parts.scheme == "https" else parts.hostname
    device = ONVIFCamera(host, port, user or None, password or None, adjust_time=True)
    try:
        async with asyncio.timeout(timeout):
            return await _streams(device)
    except TimeoutError:
        problem = f"no answer within {timeout:g} s"
    except ONVIFAuthError:
        problem = "it refuses the user name or password"
    except (ONVIFError, Error) as error:
        refused = "not authorized" in str(error).lower() or "notauthorized" in str(getattr(error, "subcodes", "")).lower()
        problem = "it refuses the user name or password" if refused else f"its answer is not understood ({error})"
    except (aiohttp.ClientError, OSError) as error:
        problem = f"it cannot be reached ({error})"
    finally:
        await device.close()
    raise SourceError(f"{shown(camera.service)}: {problem}")


async def _streams(device: Any) -> list[CameraStream]:
    await device.update_xaddrs()
    media = await device.create_media_service()
    found = []
    for profile in await media.GetProfiles():
        told = await media.GetStreamUri({"StreamSetup": _SETUP, "ProfileToken": profile.token})
        coded = profile.VideoEncoderConfiguration
        size, limit = getattr(coded, "Resolution", None), getattr(coded, "RateControl", None)
        found.append(
            CameraStream(
                str(profile.Name or profile.token),
                str(told.Uri).strip(),
                str(getattr(coded, "Encoding", "") or ""),
                int(getattr(size, "Width", 0) or 0),
                int(getattr(size, "Height", 0) or 0),
                float(getattr(limit, "FrameRateLimit", 0) or 0),
            )
        )
    return found
