"""Log-mel filter bank for streams: any split of the sound gives the same numbers.

kaldi-native-fbank computes the frames one by one (Povey window, pre-emphasis 0.97, mean of the frame removed, no
dither, no padding at the edges), so a frame depends only on its own samples. The state is the tail of samples that the
next frames need.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import ArgumentError, AudioError

Samples = NDArray[np.float32]
FILE_KEYS = {"sample_rate": "rate"}
_FULL_SCALE = 32768.0  # kaldi's log-mel values are those of 16-bit sample values
_LARGEST = 1e6  # full scale is 1; a window of far larger samples would overflow the float32 of its energy


@dataclass(frozen=True)
class LogMel:
    """Sound to log-mel frames: ``samples (n,) in [-1, 1] -> frames (time, mels)``.

    Args:
        mels: filters, evenly spaced on the mel scale from 20 Hz to half the sample rate.
        sample_rate: samples per second.
        window_ms, hop_ms: length of a frame and distance of two, in milliseconds.
        floor: smallest output value, so that digital silence is not quieter than a quiet room.

    Examples:
        >>> features = LogMel(mels=20, sample_rate=8_000)
        >>> features(np.zeros(8_000, np.float32)).shape  # a second of silence
        (98, 20)
        >>> frames, state = features.step(np.zeros(500, np.float32), features.init_state())
        >>> len(frames), len(state)
        (4, 180)
    """

    mels: int = 40
    sample_rate: int = 16_000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    floor: float = 5.0

    def __post_init__(self) -> None:
        numbers = (self.mels, self.sample_rate, self.window_ms, self.hop_ms, self.floor)
        whole = isinstance(self.mels, int) and isinstance(self.sample_rate, int)
        if not whole or not all(isinstance(number, int | float) for number in numbers):
            raise ArgumentError(f"LogMel: wanted five numbers, mels and sample_rate whole ones, not {numbers}")
        if not 1 <= self.mels <= 256:
            raise ArgumentError(f"LogMel: mels must lie in 1..256, not {self.mels}")
        if not 1_000 <= self.sample_rate <= 192_000:
            raise ArgumentError(f"LogMel: sample_rate must lie in 1000..192000 Hz, not {self.sample_rate}")
        if not 1.0 <= self.hop_ms <= self.window_ms <= 1_000.0:
            raise ArgumentError(
                f"LogMel: wanted 1 <= hop_ms <= window_ms <= 1000, not hop_ms={self.hop_ms}, window_ms={self.window_ms}"
            )
        if not np.isfinite(self.floor):
            raise ArgumentError(f"LogMel: floor must be a finite number, not {self.floor}")
        import kaldi_native_fbank as knf

        try:
            knf.OnlineFbank(self._options())
        except ValueError as error:  # fewer than three filters, filters without a frequency, a window of one sample
            raise ArgumentError(f"LogMel: no filter bank has {self}: {error}") from error

    @property
    def window(self) -> int:
        """Samples of one frame."""
        return int(self.sample_rate * 0.001 * self.window_ms)

    @property
    def hop(self) -> int:
        """Samples between the starts of two frames."""
        return int(self.sample_rate * 0.001 * self.hop_ms)

    def init_state(self) -> Samples:
        """State at the start of a stream: no samples waiting."""
        return np.zeros(0, np.float32)

    def step(self, samples: Samples, state: Samples) -> tuple[NDArray[np.float32], Samples]:
        """The frames that are complete after `samples`, and the samples that the next frames need.

        Raises:
            AudioError: the samples are not one-dimensional, not finite, or larger than 1e6.
        """
        samples = check_samples(samples)
        waiting = np.concatenate([state, samples])
        frames = max(0, (len(waiting) - self.window) // self.hop + 1)
        if frames == 0:
            return np.zeros((0, self.mels), np.float32), waiting
        import kaldi_native_fbank as knf

        bank = knf.OnlineFbank(self._options())
        used = (frames - 1) * self.hop + self.window
        bank.accept_waveform(self.sample_rate, waiting[:used] * _FULL_SCALE)
        mel = np.stack([bank.get_frame(i) for i in range(frames)])
        return np.maximum(mel, np.float32(self.floor)), waiting[frames * self.hop :]

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """The frames of a whole recording."""
        return self.step(samples, self.init_state())[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain description, as packed files hold it."""
        # The field `sample_rate` is called "rate" in packed files; that name is part of their format.
        return {FILE_KEYS.get(name, name): value for name, value in asdict(self).items()}

    @staticmethod
    def from_dict(description: Mapping[str, Any]) -> "LogMel":
        """The front end of a plain description.

        Raises:
            ArgumentError: a key is unknown, or a value is out of range.
        """
        fields = {key: name for name in LogMel.__dataclass_fields__ for key in [FILE_KEYS.get(name, name)]}
        unknown = sorted(set(description) - set(fields))
        if unknown:
            raise ArgumentError(f"LogMel: unknown keys {unknown}; a description has {list(fields)}")
        return LogMel(**{fields[key]: value for key, value in description.items()})

    def _options(self) -> Any:
        import kaldi_native_fbank as knf

        options = knf.FbankOptions()
        options.frame_opts.samp_freq = self.sample_rate
        options.frame_opts.frame_length_ms = self.window_ms
        options.frame_opts.frame_shift_ms = self.hop_ms
        options.frame_opts.dither = 0.0
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = self.mels
        return options


def check_samples(samples: Samples) -> Samples:
    """Return the samples as one-dimensional float32, or raise an `AudioError` that says what is wrong with them."""
    samples = np.asarray(samples)
    if samples.dtype.kind == "i":  # PCM: full scale is 1.0
        samples = samples / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise AudioError(f"wanted one channel of samples, shape (n,), got shape {samples.shape}")
    bad = ~(np.abs(samples) < _LARGEST)  # true for NaN
    if bad.any():
        raise AudioError(
            f"{int(bad.sum())} of {len(samples)} samples are NaN, infinite or beyond 1e6, the first at index "
            f"{int(bad.argmax())}; repair the recording"
        )
    return samples
