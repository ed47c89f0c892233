"""The server: sound from browsers and other clients in, events out (torch-free, extra ``web``)."""

from importlib.util import find_spec

from fewbit.errors import MissingExtraError

if any(find_spec(name) is None for name in ("starlette", "uvicorn", "websockets")):
    raise MissingExtraError.for_extra("web", "the server needs starlette, uvicorn and websockets")

from fewbit.web.protocol import Limits
from fewbit.web.server import app, serve
from fewbit.web.spotter import keyword_spotter

__all__ = ["Limits", "app", "keyword_spotter", "serve"]
