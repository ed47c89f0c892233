// A convolution whose kernels (what joins one input map to one output map) are mostly zero: those that are not, row by row.
//
// Places lie in the lanes of a register, not output maps as elsewhere: then a kernel that is left out costs nothing. A line
// of 64 bytes holds sixteen places of a row that come out, in four bytes each: the numbers of one input map that meet four
// neighbouring weights of a row of a kernel, as unsigned bytes. Every kernel is multiplied with the lines of its map, a row
// of 3 weights with one line, and the results of sixteen places stay in a register until all kernels of an output map
// are done. Lines are laid once for all output maps; narrow rows of places share a line.
#pragma once

#include <optional>

#include "patches.h"

namespace fewbit {

struct KeptKernels {
    std::vector<int32_t> first;     // (rows + 1,): kernels of each row
    std::vector<int32_t> maps;      // of each kernel, its place in `live`
    std::vector<int8_t> weights;    // (kernels, rows of a kernel, quads, 4), with zeros behind the last column
    std::vector<int32_t> live;      // input maps that any kernel reads
    std::vector<int32_t> row_sums;  // of the codes of each row
    int64_t quads = 0;              // of a row of a kernel

    int64_t count() const { return int64_t(maps.size()); }
    int64_t bytes() const {
        return int64_t(first.size() + maps.size() + live.size() + row_sums.size()) * 4 + int64_t(weights.size());
    }
};

// How the places of a convolution are lines. Over time alone, frames are the places of one row.
struct LineShape {
    LineShape(const ConvShape&, int64_t windows);

    int64_t units = 1, unit_step = 0;            // rows of places come in units, so many source rows apart
    int64_t rows = 1, row_step = 0;              // of places that come out in a unit; from one to the next in source rows
    int64_t width = 1, stride = 1, dilation = 1; // of a row
    int64_t kernel_width = 1;
    std::vector<int64_t> kernel_rows;            // source rows of a kernel, from its first
    int64_t row_lanes = 4, together = 1;         // lanes of a row of places in a line, and rows that share a line
    int64_t blocks = 1;                          // lines of a row

    // Lines of all places.
    int64_t lines() const { return units * ((rows + together - 1) / together) * blocks; }
    int64_t reach() const { return kernel_rows.back() + 1; }
};

// None where the weights do not fit signed bytes, or have scales of groups.
std::optional<KeptKernels> find_kept_kernels(const ConvShape&, const Matrix&);

// Whether the product of kept kernels is faster than one that costs a share of that of all codes, for so many windows at
// once.
bool is_faster_kept(const Kernels&, const ConvShape&, const Matrix&, const KeptKernels&, int64_t windows, double share);

// The convolution of kept kernels, or the given one where that is faster, which costs a share of that of all codes.
std::unique_ptr<Op> make_kept_conv(const Plan&, const ConvShape&, const Matrix&, const std::vector<int32_t>& bias,
                                   const OwnedRescale&, int bias_bits, std::unique_ptr<Op> dense, double share);

}  // namespace fewbit
