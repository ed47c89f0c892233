"""Training examples of equal length, joined from clips of Speech Commands: words, unknown words, silence, noise."""

import numpy as np
import torch
from torch.utils.data import Dataset

from fewbit.data.augment import other_voice, spec_augment
from fewbit.data.clips import Frames, at_speeds, hiss, sounding
from fewbit.data.commands_speech import UNKNOWN, SpeechCommands
from fewbit.data.joined_speech import lay_in_a_row, quiet_room
from fewbit.data.random_examples import Example
from fewbit.features import LogMel

SPEEDS = (0.85, 0.92, 1.0, 1.08, 1.17)
GAP = -0.05, 0.4  # seconds between two clips
MARGIN = 12  # frames around the loud part of a clip that are never cut: words begin and end softly
NOISY = 0.6  # of the examples have recorded noise under everything
NOISE = -3.5, -0.4  # powers of ten of its level
SHARE_UNKNOWN, SHARE_SILENCE, SHARE_REVERSED = 0.14, 0.08, 0.08  # of the clips that are laid
KNOWN = 8  # frames after its end in which a word is still the target
MIRRORED = frozenset({"no", "on"})  # each sounds like the other when played backwards


class JoinedCommands(Dataset[Example]):
    """Clips in random order, at random speed, level and noise, in the log-mel domain (see `JoinedDigits`).

    The recordings of silence serve as clips without a word and as background noise. Words played backwards are used as
    additional unknown words, because there are few recorded ones. The silence before and after a word is cut at random.
    The target of a word is known from its middle on.

    The index of an example is the seed of all its randomness, so it is equal in any process. `joined_batches` makes
    batches.

    Args:
        commands: whose `train` is used.
        features: front end of the network to be trained.
        examples, seconds: examples per epoch, and the length of each.

    Examples:
        >>> from fewbit.data import Clip
        >>> sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
        >>> clips = tuple(Clip(sound, text, "ann", "a") for text in ("stop", UNKNOWN, ""))
        >>> data = JoinedCommands(SpeechCommands(clips, (), ()), LogMel(mels=20), examples=4, seconds=2.0)
        >>> frames, labels, alignment = data[0]
        >>> tuple(frames.shape)
        (200, 20)
    """

    def __init__(self, commands: SpeechCommands, features: LogMel, examples: int, seconds: float) -> None:
        self.alphabet, self.examples, self.floor = commands.alphabet, examples, features.floor
        self.frame_rate = commands.sample_rate / features.hop
        self.frames = int(seconds * self.frame_rate)
        clips = [
            (clip.text, [(frames, *sounding(frames)) for frames in at_speeds(clip, features, SPEEDS)])
            for clip in commands.train
        ]
        self.words = [clip for clip in clips if clip[0] in commands.words]
        self.unknown = [clip for clip in clips if clip[0] == UNKNOWN]
        self.silence = [clip for clip in clips if clip[0] == ""]
        self.backwards = [
            (UNKNOWN, [(frames[::-1], len(frames) - end, len(frames) - start) for frames, start, end in variants])
            for text, variants in self.words
            if text not in MIRRORED
        ]
        self.noise = hiss(features)
        self.room = [variants[SPEEDS.index(1.0)][0] for _, variants in self.silence]

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng(index)
        frames = quiet_room(self.noise, self.frames, self.floor, rng)
        if rng.random() < NOISY:
            frames = np.logaddexp(frames, self._noise(rng))
        laid = lay_in_a_row(frames, self._draw, rng, self.frame_rate, GAP)
        frames = spec_augment(other_voice(np.maximum(frames, self.floor), rng), rng)
        alignment = torch.zeros(self.frames, dtype=torch.long)
        labels = []
        for text, position, clip in laid:
            for label in self.alphabet.encode(text):
                start, end = sounding(clip)
                alignment[position + (start + end) // 2 : position + end + KNOWN] = label
                labels.append(label)
        return torch.from_numpy(frames), labels, alignment

    def _noise(self, rng: np.random.Generator) -> Frames:
        """Recordings of silence, one after the other at one level."""
        parts: list[Frames] = []
        while sum(map(len, parts)) < self.frames:
            parts.append(self.room[int(rng.integers(len(self.room)))])
        louder = np.float32(2 * np.log(10 ** rng.uniform(*NOISE)))
        return np.concatenate(parts)[: self.frames] + louder

    def _draw(self, rng: np.random.Generator) -> tuple[str, Frames]:
        lot = rng.random()
        kind = self.words
        for clips, share in (
            (self.unknown, SHARE_UNKNOWN),
            (self.silence, SHARE_SILENCE),
            (self.backwards, SHARE_REVERSED),
        ):
            if lot < share:
                kind = clips
                break
            lot -= share
        text, variants = kind[int(rng.integers(len(kind)))]
        frames, start, end = variants[int(rng.integers(len(variants)))]
        first = rng.integers(0, max(0, start - MARGIN) + 1)
        last = rng.integers(min(len(frames), end + MARGIN), len(frames) + 1)
        return text, frames[first:last]
