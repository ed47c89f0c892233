// What a convolution reads: its shape, and the numbers of one window gathered into a row.
#pragma once

#include "grid.h"
#include "matrix.h"
#include "op.h"

namespace fewbit {

// Bytes behind a row that a copy may write.
constexpr int64_t kCopySlack = 64;
constexpr int64_t kManyPlaces = 16, kFewWeights = 1 << 17;

// See fewbit.program.ops.Conv.
struct ConvShape {
    int64_t kernel = 1, stride = 1, dilation = 1, left = -1, right = 0, groups = 1;
    int64_t rows = 0, channels = 0;  // of a place that comes out, and of one that goes in
    Grid grid;
    int64_t out_width = 0, out_places = 0;  // of the grid: divisions that are worth keeping

    Window window() const {
        const int64_t reach = (kernel - 1) * dilation + 1;
        return {reach, stride, left == -1 ? reach - 1 : left, right};
    }
    int64_t size() const { return channels * grid.places(); }  // numbers of an input frame
    int64_t columns() const { return kernel * grid.kernel() * channels; }  // of the weights, without groups
    // Whether the numbers of a window lie side by side already.
    bool rows_lie_in_line() const {
        if (groups > 1) return false;
        return grid.places() == 1 ? dilation == 1 && grid.plain() : kernel == 1 && stride == 1 && grid.plain();
    }
    // Whether a frame with its padding around it is no more than some times what goes in and comes out: a kernel whose
    // places lie far apart may have any amount of padding.
    bool has_little_border() const {
        const int64_t row = bordered_width() * channels, most = 8 * (size() + rows * out_places) + (1 << 14);
        return bordered_width() <= most / channels && bordered_height() <= most / row;
    }
    // Weights that many places use are taken apart once, if that costs little memory.
    bool reads_bytes(const Matrix& weight) const {
        return out_places >= kManyPlaces && weight.rows * weight.columns <= kFewWeights;
    }
    // Of a frame with its padding around it; where one of its places begins, and a window.
    int64_t bordered_height() const { return grid.height + grid.top + grid.bottom; }
    int64_t bordered_width() const { return grid.width + grid.left + grid.right; }
    int64_t place_at(int64_t frame, int64_t row, int64_t column) const {
        return ((frame * bordered_height() + row) * bordered_width() + column) * channels;
    }
    int64_t window_at(int64_t window, int64_t row, int64_t column) const {
        return place_at(window * stride, row * grid.stride_height, column * grid.stride_width);
    }
    // From the beginning of a window to a place of the kernel.
    int64_t start_of(int64_t k, int64_t i, int64_t j) const {
        return place_at(k * dilation, i * grid.dilation_height, j * grid.dilation_width);
    }
    // Sets what follows from the other sizes. Throws std::invalid_argument if the weights or the input do not fit.
    void check(const Matrix& weight, const Value& input);
};

// The byte of a zero: the low part of 16 bits counts from 128.
int8_t padding(const ByteRows&, int part);

// Frames with their padding around them, if there is any. moved: as unsigned bytes, 128 more than they are.
ByteRows bordered(const ConvShape&, const ByteRows& frames, bool moved);

// The numbers of group `group` in `count` windows, from window `first` on, counted over the places of all frames that come
// out. line: the frames that go in, as bytes. rows: `stride` bytes apart.
void gather_patches(const ConvShape&, const int8_t* line, int8_t padding, int64_t group, int64_t first, int64_t count,
                    int8_t* rows, int64_t stride);

// Rows first .. first + count of a matrix, as one of its own.
std::shared_ptr<const Matrix> some_rows(const Matrix&, int64_t first, int64_t count);

// Codes (rows, columns) in the range of those of a matrix.
std::shared_ptr<const Matrix> of_range(const Matrix&, const std::vector<int16_t>& codes, int64_t rows, int64_t columns);

}  // namespace fewbit
