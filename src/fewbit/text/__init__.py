"""Alphabets, byte pairs, error rates, detection rates and n-gram models (torch-free)."""

from fewbit.text.alphabet import BLANK, Alphabet
from fewbit.text.arpa import read_arpa, write_arpa
from fewbit.text.byte_pairs import BytePairs
from fewbit.text.detection import Detection, Timed, count_hits, det_curve, miss_rate_at, score_detections
from fewbit.text.metrics import cer, edit_distance, wer
from fewbit.text.ngram import Ngram
from fewbit.text.ngram_file import ngram_from_bytes, ngram_to_bytes
from fewbit.text.smoothing import kneser_ney
from fewbit.text.tokenizer_file import byte_pairs_from_json
from fewbit.text.vocabulary import Vocabulary, read_alphabet, read_vocabulary

__all__ = [
    "BLANK",
    "Alphabet",
    "BytePairs",
    "Detection",
    "Ngram",
    "Timed",
    "Vocabulary",
    "byte_pairs_from_json",
    "cer",
    "count_hits",
    "det_curve",
    "edit_distance",
    "kneser_ney",
    "miss_rate_at",
    "ngram_from_bytes",
    "ngram_to_bytes",
    "read_alphabet",
    "read_arpa",
    "read_vocabulary",
    "score_detections",
    "wer",
    "write_arpa",
]
