"""Floor 2: alphabets and error rates (torch-free)."""

from fewbit.text.alphabet import BLANK, Alphabet
from fewbit.text.metrics import cer, edit_distance, wer

__all__ = ["BLANK", "Alphabet", "cer", "edit_distance", "wer"]
