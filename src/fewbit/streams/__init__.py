"""Floor 2: sessions that listen (torch-free)."""

from fewbit.streams.language import KINDS, Search, beam, strongest, text_of_search
from fewbit.streams.session import Network, Session, alphabet_of, frame_seconds, front_end
from fewbit.streams.streaming import Transcript, run, stream

__all__ = [
    "KINDS",
    "Network",
    "Search",
    "Session",
    "Transcript",
    "alphabet_of",
    "beam",
    "frame_seconds",
    "front_end",
    "run",
    "stream",
    "strongest",
    "text_of_search",
]
