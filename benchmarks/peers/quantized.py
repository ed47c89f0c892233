"""Quantized weights that all peers get: drawn as codes, so that nobody's result holds an error of rounding weights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantized:
    """Codes around ``middle`` and the scale of each block of a row."""

    codes: NDArray[np.uint8]  # (rows, columns)
    scales: NDArray[np.float32]  # (rows, blocks)
    bits: int

    @property
    def middle(self) -> int:
        return 1 << (self.bits - 1)

    def signed(self) -> NDArray[np.int8]:
        """The codes as integers around zero."""
        return (self.codes.astype(np.int16) - self.middle).astype(np.int8)

    def floats(self) -> NDArray[np.float32]:
        """The weights that the codes stand for."""
        rows, blocks = self.scales.shape
        values = self.signed().reshape(rows, blocks, -1) * self.scales[:, :, None]
        return values.reshape(rows, -1)

    def packed(self) -> NDArray[np.uint8]:
        """The codes of each row, least bits first."""
        if self.bits == 8:
            return self.codes
        if 8 % self.bits == 0:
            each = 8 // self.bits
            parts = self.codes.reshape(len(self.codes), -1, each)
            joined: NDArray[np.uint8] = np.bitwise_or.reduce(
                parts << np.arange(0, 8, self.bits, dtype=np.uint8), axis=2
            )
            return joined
        digits = np.unpackbits(self.codes[:, :, None], axis=2, bitorder="little")[:, :, : self.bits]
        return np.packbits(digits.reshape(len(self.codes), -1), axis=1, bitorder="little")

    def nbytes(self) -> int:
        """Bytes of packed codes and scales."""
        return self.codes.size * self.bits // 8 + self.scales.nbytes

    def blocks_of_rows(self, order: tuple[int, ...]) -> "Quantized":
        """The same with its gates in another order."""
        rows = np.arange(len(self.codes)).reshape(len(order), -1)[list(order)].reshape(-1)
        return Quantized(self.codes[rows], self.scales[rows], self.bits)


def draw(rows: int, columns: int, bits: int, block: int = 0, seed: int = 0) -> Quantized:
    """Random symmetric codes (for 2 bits: ternary), sized like the first weights of a layer; block 0: a scale a row."""
    generator = np.random.default_rng(seed)
    top = (1 << (bits - 1)) - 1
    codes = generator.integers(1, 2 * top + 2, (rows, columns), dtype=np.uint8)
    scales = generator.uniform(0.5, 1, (rows, columns // (block or columns))) / (top * columns**0.5)
    return Quantized(codes, scales.astype(np.float32), bits)
