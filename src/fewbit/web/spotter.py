"""How a stream comes to watch for words, and for others later."""

from collections.abc import Callable, Sequence

from fewbit.decode import Decoder, KeywordList, KeywordSpotter
from fewbit.streams import Network, alphabet_of, frame_seconds

Spotter = Callable[[Sequence[str], Decoder | None], Decoder]
"""``(words, before) -> decoder``: watches for a list of words; `before` is what the stream had until now. If that is
given back, changed, its state goes on."""


def keyword_spotter(network: Network, threshold: float = 0.5) -> Spotter:
    """Spotters over the alphabet of `network`; words that stay in a list are heard on while others come and go.

    Args:
        network: whose scores are watched.
        threshold: score in 0 .. 1 that a word must reach, unless a number behind the word says another.

    Raises:
        DecodeError: the network has no alphabet, or the threshold is out of range.

    Example:
        >>> import fewbit as fb
        >>> make = keyword_spotter(fb.load(fb.pretrained("digits")), threshold=0.6)
        >>> spotter = make(["seven", "nine 0.7"], None)
        >>> [(listed.word, listed.threshold) for listed in spotter.keywords.words]
        [('seven', None), ('nine', 0.7)]
    """
    alphabet, seconds = alphabet_of(network), frame_seconds(network)
    KeywordSpotter(KeywordList(alphabet), seconds, threshold)  # complains now, not at the first client

    def make(words: Sequence[str], before: Decoder | None) -> Decoder:
        wanted = KeywordList(alphabet, words)
        if isinstance(before, KeywordSpotter):
            before.keywords.words = wanted.words
            return before
        return KeywordSpotter(wanted, seconds, threshold)

    return make
