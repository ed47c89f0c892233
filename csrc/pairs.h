// Matrices of codes -1, 0 and +1 with at most two non-zeros in eight columns, a byte for each group of eight.
//
// A byte is two nibbles, each sign << 3 | position, as in the layout `pairs` of docs/internals/file-format.md; the pattern
// of a group is their sum. With x the eight activations of a group, a nibble is a place in a table of 16 bytes:
//
//   low nibble    x0 .. x7, ~x0 .. ~x7
//   high nibble   0, x1 .. x7, 0, ~x1 .. ~x7
//
// ~x = -x - 1 fits a byte for every x, and the 1 that lacks is the same for all activations: Matrix::minus counts the
// nibbles with a minus of each row. A line of 64 bytes holds four groups of a panel, 16 rows of each after the other, so that
// 16 bytes have one table. Lines lie in strips as those of a plane of 1 bit do, and cover as many columns, 32.
#pragma once

#include "matrix.h"

namespace fewbit {

constexpr int kPairColumns = 8;
constexpr int kPairBlock = 32;
// +1 and -1 at position 1: nothing.
constexpr uint8_t kNoPair = 0x91;

// Throws std::invalid_argument where a group has other codes.
Matrix make_pairs(const int16_t* codes, int64_t rows, int64_t columns);

// See read_row.
void read_pairs_row(const Matrix& pairs, int64_t row, int32_t* codes);

// The same matrix in planes.
Matrix in_planes(const Matrix& pairs);

}  // namespace fewbit
