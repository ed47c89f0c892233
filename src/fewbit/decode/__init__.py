"""From class scores to events (torch-free)."""

from fewbit.decode.decoder import Decoder
from fewbit.decode.events import Event, Final, Keyword, Label, Partial, text_of, to_dict
from fewbit.decode.framewise import Framewise
from fewbit.decode.greedy import GreedyCTC
from fewbit.decode.keyword_list import KeywordList, ListedWord
from fewbit.decode.keywords import KeywordSpotter
from fewbit.decode.network_scorer import NetworkScorer
from fewbit.decode.ngram_scorer import CharNgram, OpenVocabularyLM, WordNgram
from fewbit.decode.parallel_decoders import ParallelDecoders
from fewbit.decode.scorer import Scorer
from fewbit.decode.tree_beam import Hypothesis, TreeBeam

__all__ = [
    "CharNgram",
    "Decoder",
    "Event",
    "Final",
    "Framewise",
    "GreedyCTC",
    "Hypothesis",
    "Keyword",
    "KeywordList",
    "KeywordSpotter",
    "Label",
    "ListedWord",
    "NetworkScorer",
    "OpenVocabularyLM",
    "ParallelDecoders",
    "Partial",
    "Scorer",
    "TreeBeam",
    "WordNgram",
    "text_of",
    "to_dict",
]
