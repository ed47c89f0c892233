"""Put the network of a finished demo into the package, with a card whose figures come from the results.

    python -m recipes.ship_digits build/studies/digits.jsonl build/studies/digits/seed0

The first argument holds the rows of `python -m studies digits`, the second is the folder that one of its demos left.
"""

import argparse
import json
import shutil
from pathlib import Path

from fewbit.program import show

TESTS = Path(__file__).parent.parent / "tests" / "demo"
PACKAGE = Path(__file__).parent.parent / "src" / "fewbit" / "shipped"


def main(results: Path, folder: Path) -> None:
    target = PACKAGE / "digits.fewbit"
    shutil.copyfile(folder / "digits.fewbit", target)
    shutil.copyfile(folder / "retrained.safetensors", TESTS / "digits.safetensors")  # the same network in torch
    seed = int(folder.name.removeprefix("seed"))
    measured = [json.loads(line)["result"] for line in results.read_text().splitlines()]
    row = next(result for result in measured if result["seed"] == seed)["rows"][2]
    cost = show(target)
    card = f"""# digits.fewbit

A streaming recogniser of the English words "zero" to "nine", one speaker at a time, 8 kHz.

- **Network**: log-mel features (40 filters, every 10 ms), causal convolution with stride 4, two SRU layers, linear;
  {cost.weights:,} weights, ternary (last layer int8), 8-bit signals; {cost.file_bytes:,} bytes, of which
  {cost.header_bytes:,} are header; {cost.macs:,.0f} multiply-accumulates a frame of 10 ms.
- **Made by** `fewbit demo --seed {seed}`, from the recordings in the package: float training with CTC, direct
  quantization, retraining with distillation from the float network. The file holds this recipe.
- **Data**: Free Spoken Digit Dataset, CC BY-SA 4.0; three speakers (george, jackson, lucas), 12 recordings of each
  digit by each.
- **Measured** on joined streams: word error rate {row["error_rate"]:.1%} on other recordings of these speakers (150
  words), {row["error_rate_unseen"]:.1%} on a speaker never heard in training (nicolas, 100 words).
- **Limits**: three voices are few. Expect errors with other speakers, accents, rooms and microphones, and invented
  digits where other words are spoken. It is a small example of the whole path, not a product.
"""
    (PACKAGE / "digits.md").write_text(card)
    print(target, cost.file_bytes, "bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    main(given.results, given.folder)
