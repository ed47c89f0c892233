"""Floor 2: from class scores to events (torch-free)."""

from fewbit.decode.decoder import Decoder
from fewbit.decode.events import Event, Final, Label, Partial, text_of, to_dict
from fewbit.decode.framewise import Framewise
from fewbit.decode.greedy import GreedyCTC

__all__ = ["Decoder", "Event", "Final", "Framewise", "GreedyCTC", "Label", "Partial", "text_of", "to_dict"]
