"""The card that lies beside the recogniser of English: what it is, what it was made of, and how often it is wrong."""

from collections.abc import Mapping
from pathlib import Path

from recipes.card import write_card

Rates = Mapping[str, Mapping[str, tuple[float, float]]]
"""Network -> kind of language model -> word and character error rate."""
COLUMNS = ("network", "language model", "WER %", "CER %")

CARD = """# {name}.fewbit

A streaming recogniser of English letters, numbers, dates, names and a few commands, spelled letter by letter; 16 kHz,
one speaker at a time. Beside it lie language models of characters (`{name}.char.ngram`) and of words
(`{name}.word.ngram`), and the weights of both in the search (`{name}.toml`).

- **Network**: log-mel features ({mels} filters, every 10 ms), causal convolution with stride {stride}, SRU layers,
  linear; {weights:,} weights, ternary with a scale for each row (last layer int8), 8-bit signals; {file_bytes:,} bytes,
  of which {header_bytes:,} are header; {macs:,.0f} multiply-accumulates a frame of 10 ms. The language models take
  {lm_bytes:,} bytes.
- **Made by** `python -m recipes english --data AN4 --seed {seed}`: float training with CTC, then ternary weights with
  the float network as the teacher. The file holds this recipe.
- **Data**: CMU AN4, {speakers} training speakers; 7 more were held out to tune the weights of the language models. The
  language models know the training sentences only. Copyright 1991-2005 Carnegie Mellon University, free for any use;
  its terms are in `{name}.LICENSE`.
- **Measured** on the 130 sentences of the 10 test speakers, none of whom it was trained on, words and letters wrong in
  %. These are the figures of this very training, each network with language-model weights tuned for it:

<!-- table:english-shipped; Error rates -->

{rows}

<!-- /table -->

- **Limits**: AN4 is 50 minutes of read American English in one kind of room. Words outside its small world are spelled
  as they sound at best; other accents, far microphones and noise were not measured. Expect letters that sound alike (B,
  D, E, P, T) to be mixed up.
"""


def write_english_card(packed: str | Path, rates: Rates, speakers: int, seed: int) -> Path:
    """Write ``name.md`` beside ``name.fewbit``."""
    packed = Path(packed)
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- | --- | ---: | ---: |"]
    lines += [
        f"| {name} | {kind} | {100 * word:.1f} | {100 * character:.1f} |"
        for name, kinds in rates.items()
        for kind, (word, character) in kinds.items()
    ]
    lm_bytes = sum(path.stat().st_size for path in packed.parent.glob(f"{packed.stem}.*.ngram"))
    return write_card(packed, CARD, lm_bytes=lm_bytes, seed=seed, speakers=speakers, rows="\n".join(lines))
