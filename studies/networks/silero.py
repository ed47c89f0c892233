"""Silero VAD 6.2.3, 16 kHz: is this piece of 32 ms speech?

A Fourier transform as a convolution, four convolutions, an LSTM over the chunks, one probability for each chunk. The
original takes one chunk at a time and carries state and the last 64 samples to the next; here a whole recording goes
in as chunks that overlap by those samples, and the LSTM runs over the chunk axis, which is the same function.
`difference_to_original` runs the TorchScript file of the wheel beside it; `load` raises where a probability differs by
more than 1e-4 (rounding makes it about a thousandth of that).

Judged on AN4 test speakers in the noise of homes. What is speech is told by the energy of the clean recording.
"""

import io
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fewbit.data import Clip
from fewbit.data.an4_speech import RATE
from studies.networks import corpora
from studies.networks.detection import area_under_curve
from studies.networks.network import Inputs, Network, Predict
from studies.networks.wheels import wheel

NAME, VERSION = "silero-vad", "6.2.3"
CHUNK, CONTEXT = 512, 64  # new samples of a chunk, and those of the one before that stand in front of them
TOLERANCE = 1e-4
SPEECH = 1e-3  # of the energy of the loudest chunk of a recording: 30 dB below it
PAUSE = 8  # chunks between two of speech that still count as speech
DECIBELS = (10, 0)
CHUNKS = 320  # of each recording to calibrate with


class SileroVAD(nn.Module):
    """The 16 kHz network: ``(batch, chunks, 576 samples)`` to probabilities ``(batch, chunks)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.head = nn.Conv1d(128, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, chunks, samples = x.shape
        x = x.reshape(batch * chunks, 1, samples)
        x = self.stft(functional.pad(x, (0, 64), mode="reflect"))
        real, imaginary = x[:, :129], x[:, 129:]
        x = torch.sqrt(real**2 + imaginary**2)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = functional.relu(conv(x))
        x, _ = self.lstm(x.reshape(batch, chunks, 128))
        return torch.sigmoid(self.head(functional.relu(x).transpose(1, 2))).squeeze(1)


def original() -> torch.jit.ScriptModule:
    """The network as it is given away. (The safetensors file beside it holds the weights of an older version.)"""
    data = (wheel(NAME, VERSION) / "silero_vad" / "data" / "silero_vad.jit").read_bytes()
    return torch.jit.load(io.BytesIO(data)).eval()  # type: ignore[no-any-return, no-untyped-call]


def build() -> SileroVAD:
    """The network with the weights in the wheel."""
    given = original()._model.state_dict()
    names = {"stft.weight": "stft.forward_basis_buffer"}
    names |= {
        f"conv{i + 1}.{leaf}": f"encoder.{i}.reparam_conv.{leaf}" for i in range(4) for leaf in ("weight", "bias")
    }
    names |= {
        f"lstm.{leaf}_{way}_l0": f"decoder.rnn.{leaf}_{way}" for leaf in ("weight", "bias") for way in ("ih", "hh")
    }
    names |= {f"head.{leaf}": f"decoder.decoder.2.{leaf}" for leaf in ("weight", "bias")}
    model = SileroVAD()
    model.load_state_dict({ours: given[theirs] for ours, theirs in names.items()})
    return model.eval()


def chunked(samples: NDArray[np.float32]) -> Tensor:
    """``(1, chunks, 576)`` of a recording ``(n,)``, zeros in front of it and behind its end."""
    behind = -len(samples) % CHUNK
    padded = np.pad(samples, (CONTEXT, behind))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, CHUNK + CONTEXT)[::CHUNK]
    return torch.from_numpy(pieces.copy())[None]


def difference_to_original(model: nn.Module, samples: NDArray[np.float32]) -> float:
    """Largest difference of a probability to the TorchScript original, which is fed chunk by chunk."""
    given, chunks = original(), chunked(samples)
    with torch.no_grad():
        theirs = torch.cat([given(chunk[None, CONTEXT:], RATE) for chunk in chunks[0]], 1)
        return float((model(chunks) - theirs).abs().max())


def is_speech(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """For each chunk of a clean recording whose length is a multiple of a chunk: is it speech, by energy?"""
    energy = (samples.reshape(-1, CHUNK) ** 2).sum(1)
    places = np.flatnonzero(energy > SPEECH * energy.max())
    speech = np.zeros(len(energy), bool)
    for first, last in zip(places, [*places[1:], places[-1]], strict=True):
        speech[first : (last if last - first <= PAUSE else first) + 1] = True
    return speech


def scene(clips: list[Clip], decibels: float, split: str, seed: int) -> tuple[Inputs, NDArray[np.int64]]:
    """Recordings with pauses of 0.5 to 1.5 s between them, in noise: the chunks, and 1 where there is speech."""
    random = np.random.default_rng(seed)
    parts, labels = [], []
    for clip in clips:
        pause = int(random.uniform(0.5, 1.5) * RATE / CHUNK)
        said = np.pad(clip.samples, (0, -len(clip.samples) % CHUNK))
        parts += [np.zeros(pause * CHUNK, np.float32), said]
        labels += [np.zeros(pause, bool), is_speech(said)]
    clean, speech = np.concatenate(parts), np.concatenate(labels)
    level = np.sqrt(np.mean(clean.reshape(-1, CHUNK)[speech] ** 2)) * 10 ** (-decibels / 20)
    return (chunked(clean + np.float32(level) * corpora.noise(split, seed, len(clean))),), speech.astype(np.int64)


def measure(scenes: dict[int, list[tuple[Inputs, NDArray[np.int64]]]], predict: Predict) -> dict[str, float]:
    """Area under the curve, and the part of all chunks that are wrong at a threshold of 0.5, at each noise level."""
    found = {}
    for decibels, pairs in scenes.items():
        scores = np.concatenate([predict(inputs).ravel() for inputs, _ in pairs])
        yes = np.concatenate([labels for _, labels in pairs]).astype(bool)
        found[f"auc_{decibels}dB"] = area_under_curve(scores, yes)
        found[f"frame_error_{decibels}dB"] = float(np.mean((scores > 0.5) != yes))
    return found


def load() -> Network:
    """The network; calibrated on dev speakers of AN4 at 10 dB, judged on its ten test speakers at 10 and at 0 dB."""
    model, data = build(), corpora.speech()
    difference = difference_to_original(model, data.dev[0].samples)
    if not difference <= TOLERANCE:
        raise ValueError(f"the rebuilt network differs from the original by {difference}")
    calibration = [scene(list(data.dev[i * 9 : i * 9 + 6]), 10, "train", i)[0][0][:, :CHUNKS] for i in range(8)]
    speakers = sorted({clip.speaker for clip in data.test})
    scenes = {
        decibels: [
            scene([clip for clip in data.test if clip.speaker == speaker][:6], decibels, "test", i)
            for i, speaker in enumerate(speakers)
        ]
        for decibels in DECIBELS
    }
    held_out = [pair for pairs in scenes.values() for pair in pairs]
    return Network(
        name="silero",
        model=model,
        batches=[(chunks,) for chunks in calibration],
        examples=[inputs for inputs, _ in held_out],
        output="probability",
        measure=partial(measure, scenes),
        time=1,
        labels=[labels for _, labels in held_out],
    )
