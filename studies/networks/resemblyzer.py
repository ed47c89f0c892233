"""Resemblyzer 0.1.4: who speaks? Three LSTM layers of 256 over mel energies, the last state, one vector of length 1.

The network is the one of the wheel, written as plain torch with the names of its checkpoint, so that its own weights
load strictly. `mel_energies` makes its input without librosa. On ten recordings of AN4 both were compared with the
package itself: its vectors, and the energies of librosa 0.11 in parts of the largest one, are equal to 1e-4.

Judged on AN4's test speakers: the equal error rate of all pairs of recordings. As in the package, a recording is cut
into pieces of 1.6 s, 0.77 s apart, whose vectors are averaged; and quiet ones are made louder. Pauses are not cut out,
which the package does with another detector: AN4 has hardly any.
"""

import io
from functools import partial
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fewbit.data import Clip
from fewbit.data.an4_speech import RATE
from studies.networks import corpora
from studies.networks.detection import equal_error_rate
from studies.networks.network import Inputs, Network, Predict
from studies.networks.wheels import wheel

NAME, VERSION = "Resemblyzer", "0.1.4"
WINDOW, HOP, MELS = 400, 160, 40  # samples, samples, bands
FRAMES, APART, LEAST = 160, 77, 0.75  # of a piece; frames between two; the part of the last one that must be speech
LOUDNESS = -30.0  # dB of full scale, root mean square
CALIBRATION, HELD_OUT = 8, 40  # pieces


class VoiceEncoder(nn.Module):
    """``(batch, 160 frames, 40 mel energies)`` to vectors ``(batch, 256)`` of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.relu = nn.ReLU()

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)
        embeds: Tensor = self.relu(self.linear(hidden[-1]))
        unit: Tensor = embeds / torch.norm(embeds, dim=1, keepdim=True)
        return unit


def build() -> VoiceEncoder:
    """The network with the weights in the wheel."""
    data = (wheel(NAME, VERSION) / "resemblyzer" / "pretrained.pt").read_bytes()
    weights = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)["model_state"]
    model = VoiceEncoder()  # two numbers of the training loss are in the checkpoint too
    model.load_state_dict({name: weight for name, weight in weights.items() if not name.startswith("similarity_")})
    return model.eval()


def mel_filters() -> NDArray[np.float64]:
    """Triangles ``(bands, bins)`` of area 1 on Slaney's scale: linear up to 1 kHz, then logarithmic, 0 to 8 kHz."""
    knee, step = 15.0, np.log(6.4) / 27  # 1 kHz is 15 mel

    def to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < knee, mel * 200 / 3, 1000 * np.exp(step * (mel - knee)))

    edges = to_hertz(np.linspace(0, knee + np.log(RATE / 2 / 1000) / step, MELS + 2))
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def mel_energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(frames, 40)`` energies, no logarithm, of frames of 25 ms every 10 ms, zeros around the recording."""
    padded = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return np.asarray(power @ mel_filters().T, np.float32)


def pieces(samples: NDArray[np.float32]) -> list[Inputs]:
    """The inputs ``(1, 160, 40)`` of a recording, at least one, zeros behind its end."""
    level = 20 * np.log10(np.sqrt(np.mean(samples**2)))
    if level < LOUDNESS:
        samples = samples * np.float32(10 ** ((LOUDNESS - level) / 20))
    frames = -(-(len(samples) + 1) // HOP)
    starts = list(range(0, max(1, frames - FRAMES + APART + 1), APART))
    if len(starts) > 1 and len(samples) - starts[-1] * HOP < LEAST * FRAMES * HOP:
        starts.pop()
    behind = max(0, (starts[-1] + FRAMES) * HOP - len(samples))
    mels = torch.from_numpy(mel_energies(np.pad(samples, (0, behind))))
    return [(mels[None, start : start + FRAMES],) for start in starts]


def measure(clips: list[tuple[str, list[Inputs]]], predict: Predict) -> dict[str, float]:
    """Equal error rate of "the same speaker?" over all pairs of recordings, by the cosine of their vectors."""
    vectors = np.stack([np.mean([predict(piece) for piece in cut], axis=0) for _, cut in clips])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    pairs = list(combinations(range(len(clips)), 2))
    cosines = np.array([vectors[i] @ vectors[j] for i, j in pairs])
    return {"equal_error_rate": equal_error_rate(cosines, np.array([clips[i][0] == clips[j][0] for i, j in pairs]))}


def load() -> Network:
    """The network; calibrated on dev speakers of AN4, judged on its ten test speakers."""
    data = corpora.speech()

    def spread(clips: tuple[Clip, ...], count: int) -> list[Clip]:
        return [clips[i] for i in np.linspace(0, len(clips) - 1, count).round().astype(int)]

    clips = [(clip.speaker, pieces(clip.samples)) for clip in data.test]
    return Network(
        name="resemblyzer",
        model=build(),
        batches=[pieces(clip.samples)[0] for clip in spread(data.dev, CALIBRATION)],
        examples=[pieces(clip.samples)[0] for clip in spread(data.test, HELD_OUT)],
        output="embedding",
        measure=partial(measure, clips),
        time=1,
    )
