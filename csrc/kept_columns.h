// A convolution whose matrix has columns of zeros: those that are not, multiplied with the numbers of a window that they
// read, and with no others.
//
// Columns follow each other as the numbers of a window do: channel after channel in each place. So up to sixteen
// neighbouring bytes of a window are read at once, and a shuffle moves those that are kept together; or sixty-four, where
// there is an instruction that moves the bytes of a mask together. Both lists are made when the network is loaded.
#pragma once

#include <optional>

#include "patches.h"

namespace fewbit {

struct KeptColumns {
    std::vector<ColumnPiece> pieces;       // of a window, in bordered frames
    std::vector<ColumnRun> runs;           // the same once more
    std::shared_ptr<const Matrix> weight;  // (rows, kept columns)
    bool reads_bytes = false;              // as the product of all columns does: of codes in few bits that may be slower
};

// None where no column or every column is zero, or the weights have groups or scales of groups.
std::optional<KeptColumns> find_kept_columns(const ConvShape&, const Matrix&);

// What the product of kept columns costs for a place, and that of all columns, in products of a line.
double column_cost(const ColumnCosts&, const KeptColumns&);
double dense_cost(const ConvShape&, const Matrix&);

// The convolution of kept columns.
std::unique_ptr<Op> make_column_conv(const Plan&, const ConvShape&, KeptColumns, std::vector<int32_t> bias,
                                     OwnedRescale, int bias_bits);

}  // namespace fewbit
