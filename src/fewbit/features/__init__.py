"""From sound to frames (torch-free)."""

from fewbit.features.audio import CHUNK_SECONDS, Resampler, microphone, read_audio
from fewbit.features.logmel import LogMel, Samples

__all__ = ["CHUNK_SECONDS", "LogMel", "Resampler", "Samples", "microphone", "read_audio"]
