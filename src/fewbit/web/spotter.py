"""Decoders that watch for the keywords of a stream, and change with its list."""

from collections.abc import Callable, Sequence

from fewbit.decode import Decoder, KeywordList, KeywordSpotter
from fewbit.streams import Network, alphabet_of, frame_seconds

Spotter = Callable[[Sequence[str], Decoder | None], Decoder]
"""``(words, before) -> decoder``: makes a decoder that watches for words.

`before` is the current decoder of the stream; if it is changed and returned, its state continues."""


def keyword_spotter(network: Network, threshold: float = 0.5) -> Spotter:
    """Spotters over the alphabet of `network`. Words that stay in the list keep their state when others come and go.

    Args:
        network: the network whose scores are watched.
        threshold: score in 0 .. 1 that a word must reach, unless the word has its own threshold.

    Raises:
        DecodeError: the network has no alphabet.
        ArgumentError: the threshold is out of range.

    Examples:
        >>> import fewbit as fb
        >>> make = keyword_spotter(fb.load(fb.pretrained("digits")), threshold=0.6)
        >>> spotter = make(["seven", "nine 0.7"], None)
        >>> print([(listed.word, listed.threshold) for listed in spotter.keywords.words])
        [('seven', None), ('nine', 0.7)]
    """
    alphabet, seconds = alphabet_of(network), frame_seconds(network)
    KeywordSpotter(KeywordList(alphabet), seconds, threshold)  # raises now, not at the first client

    def make(words: Sequence[str], before: Decoder | None) -> Decoder:
        wanted = KeywordList(alphabet, words)
        if isinstance(before, KeywordSpotter):
            before.keywords.words = wanted.words
            return before
        return KeywordSpotter(wanted, seconds, threshold)

    return make
