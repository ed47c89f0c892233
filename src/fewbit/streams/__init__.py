"""Floor 2: sessions that listen (torch-free)."""

from fewbit.streams.session import Network, Session
from fewbit.streams.streaming import Transcript, run, stream

__all__ = ["Network", "Session", "Transcript", "run", "stream"]
