"""Several decoders on the same scores, such as text and keywords from one run of a network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fewbit.decode.decoder import Decoder, Scores
from fewbit.decode.events import Event, Final, Keyword, Label, Partial


@dataclass(frozen=True)
class Member:
    """A decoder, the frame at which it joined, and its state."""

    decoder: Decoder
    joined: int
    state: Any


@dataclass(frozen=True)
class ParallelState:
    """Number of frames, and the decoders by name."""

    frame: int
    members: Mapping[str, Member]


class ParallelDecoders:
    """A decoder that runs several others, each with its own state.

    `decoders` may change between two steps. A decoder that joins starts at that frame, and its times are shifted to
    those of the stream; one that leaves loses its state. Within a step, events come decoder by decoder. So any split of
    the frames keeps the order of the events of each decoder, but not their order across decoders.

    Args:
        frame_seconds: time between two frames of scores.
        decoders: the decoders, by name.

    Examples:
        >>> import numpy as np
        >>> from fewbit.decode import Framewise
        >>> moves, power = Framewise(["rest", "left"], 0.1), Framewise(["off", "on"], 0.1)
        >>> decoder = ParallelDecoders(0.1, moves=moves, power=power)
        >>> events, state = decoder.step(np.array([[3.0, 0.0]]), decoder.init_state())
        >>> print([event.name for event in events + decoder.finish(state)])
        ['rest', 'off']
    """

    def __init__(self, frame_seconds: float, **decoders: Decoder) -> None:
        self.frame_seconds = frame_seconds
        self.decoders = decoders

    def init_state(self) -> ParallelState:
        """State at the start of a stream."""
        return ParallelState(0, {})

    def step(self, scores: Scores, state: ParallelState) -> tuple[list[Event], ParallelState]:
        """Events of ``scores (frames, classes)`` from each decoder."""
        events: list[Event] = []
        members = {}
        for name, decoder in self.decoders.items():
            member = state.members.get(name)
            if member is None or member.decoder is not decoder:
                member = Member(decoder, state.frame, decoder.init_state())
            new, inner = decoder.step(scores, member.state)
            events += self._moved(new, member)
            members[name] = replace(member, state=inner)
        return events, ParallelState(state.frame + len(scores), members)

    def finish(self, state: ParallelState) -> list[Event]:
        """Remaining events of each decoder at the end of the stream."""
        members = state.members.values()
        return [event for member in members for event in self._moved(member.decoder.finish(member.state), member)]

    def _moved(self, events: list[Event], member: Member) -> list[Event]:
        seconds = member.joined * self.frame_seconds
        return [_later(event, seconds) for event in events] if seconds else events


def _later(event: Event, seconds: float) -> Event:
    def moved(time: float) -> float:
        return round(time + seconds, 4)

    match event:
        case Partial(time=time):
            return replace(event, time=moved(time))
        case Keyword(start=start, end=end, time=time):
            return replace(event, start=moved(start), end=moved(end), time=moved(time))
        case Final(start=start, end=end, labels=labels):
            inner = tuple(replace(label, start=moved(label.start), end=moved(label.end)) for label in labels)
            return replace(event, start=moved(start), end=moved(end), labels=inner)
        case Label(start=start, end=end):
            return replace(event, start=moved(start), end=moved(end))
