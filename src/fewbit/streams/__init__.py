"""Sessions, which turn a stream of sound into events, and text from language models (torch-free)."""

from fewbit.streams.generation import TextGenerator
from fewbit.streams.language import KINDS, SearchSettings, choose_decoder, settings_to_toml, strongest
from fewbit.streams.session import Network, Session, alphabet_of, frame_seconds, front_end
from fewbit.streams.streaming import Transcript, run, stream

__all__ = [
    "KINDS",
    "Network",
    "SearchSettings",
    "Session",
    "TextGenerator",
    "Transcript",
    "alphabet_of",
    "choose_decoder",
    "frame_seconds",
    "front_end",
    "run",
    "settings_to_toml",
    "stream",
    "strongest",
]
