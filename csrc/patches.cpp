#include "patches.h"

#include <cstring>

namespace fewbit {
namespace {

constexpr int64_t kPiece = 16;

// Copies n bytes in pieces, and up to kPiece - 1 bytes more, which the next copy overwrites: the calls of memcpy for the
// few channels of a place would cost more than the copies.
inline int8_t* copy(const int8_t* from, int64_t n, int8_t* to) {
    for (int64_t i = 0; i < n; i += kPiece) std::memcpy(to + i, from + i, kPiece);
    return to + n;
}

inline int8_t* pad(int8_t padding, int64_t n, int8_t* to) {
    if (n > 0) std::memset(to, padding, size_t(n));
    return to + n;
}

// One window, whose first place is in row `top` and column `left` of the frames from `line` on.
void gather_patch(const ConvShape& shape, const int8_t* line, int8_t padding, int64_t top, int64_t left, int8_t* row) {
    const Grid& grid = shape.grid;
    const int64_t channels = shape.channels, some = channels / shape.groups, size = shape.size();
    // Neighbouring places of one row are one copy, if all of their channels are wanted.
    const bool joined = shape.groups == 1 && grid.dilation_width == 1;
    const int64_t before = std::min(std::max<int64_t>(-left, 0), grid.kernel_width);
    const int64_t after = std::min(std::max<int64_t>(left + grid.kernel_width - grid.width, 0), grid.kernel_width);
    for (int64_t k = 0; k < shape.kernel; ++k, line += shape.dilation * size) {
        for (int64_t i = 0; i < grid.kernel_height; ++i) {
            const int64_t h = top + i * grid.dilation_height;
            if (h < 0 || h >= grid.height) {
                row = pad(padding, grid.kernel_width * some, row);
            } else if (joined) {
                row = pad(padding, before * channels, row);
                row = copy(line + (h * grid.width + left + before) * channels,
                           (grid.kernel_width - before - after) * channels, row);
                row = pad(padding, after * channels, row);
            } else {
                for (int64_t j = 0; j < grid.kernel_width; ++j) {
                    const int64_t w = left + j * grid.dilation_width;
                    const bool inside = w >= 0 && w < grid.width;
                    row = inside ? copy(line + (h * grid.width + w) * channels, some, row) : pad(padding, some, row);
                }
            }
        }
    }
}

}  // namespace

void ConvShape::check(const Matrix& weight, const Value& input) {
    const int64_t places = kernel * grid.kernel();
    demand(weight.columns % places == 0, "the columns of 'weight' are no multiple of the places of the kernel");
    demand(rows % groups == 0, "the rows of 'weight' are no multiple of 'groups'");
    demand(groups == 1 || weight.group_scale.empty(), "grouped rows with scales per group of columns");
    channels = weight.columns / places * groups;
    out_width = grid.out_width();
    out_places = grid.out_places();
    demand(channels <= kMaxFrameSize && input.size == size(), "the columns of 'weight' do not fit the input");
}

int8_t padding(const ByteRows& bytes, int part) {
    return int8_t(bytes.parts == 1 ? -bytes.offset : part == 0 ? 0 : -128);
}

ByteRows bordered(const ConvShape& shape, const ByteRows& frames, bool moved) {
    const Grid& grid = shape.grid;
    if (!moved && grid.top + grid.bottom + grid.left + grid.right == 0) return frames;
    const int64_t row = shape.bordered_width() * shape.channels, size = shape.bordered_height() * row;
    const int64_t inner = grid.width * shape.channels, left = grid.left * shape.channels;
    const int64_t part = frames.count * size + kCopySlack;
    int8_t* memory = workspace().patches.get(frames.parts * part);
    ByteRows found = frames;
    found.stride = size;
    for (int p = 0; p < frames.parts; ++p) {
        int8_t* to = memory + p * part;
        found.bytes[p] = to;
        const int8_t by = moved ? int8_t(-128) : int8_t(0), zero = int8_t(padding(frames, p) ^ by);
        for (int64_t t = 0; t < frames.count; ++t) {
            const int8_t* from = frames.bytes[p] + t * frames.stride;
            to = pad(zero, grid.top * row, to);
            for (int64_t h = 0; h < grid.height; ++h, from += inner) {
                to = pad(zero, left, to);
                if (moved)
                    for (int64_t i = 0; i < inner; ++i) to[i] = int8_t(from[i] ^ by);
                else
                    std::memcpy(to, from, size_t(inner));
                to = pad(zero, row - left - inner, to + inner);
            }
            to = pad(zero, grid.bottom * row, to);
        }
    }
    return found;
}

void gather_patches(const ConvShape& shape, const int8_t* line, int8_t padding, int64_t group, int64_t first,
                    int64_t count, int8_t* rows, int64_t stride) {
    const Grid& grid = shape.grid;
    const int64_t size = shape.size(), some = shape.channels / shape.groups;
    int64_t frame = first / shape.out_places, place = first % shape.out_places;
    int64_t i = place / shape.out_width, j = place % shape.out_width;
    const int64_t out_height = shape.out_places / shape.out_width;
    for (int64_t n = 0; n < count; ++n, rows += stride) {
        gather_patch(shape, line + frame * shape.stride * size + group * some, padding,
                     i * grid.stride_height - grid.top, j * grid.stride_width - grid.left, rows);
        if (++j < shape.out_width) continue;
        j = 0;
        if (++i < out_height) continue;
        i = 0;
        ++frame;
    }
}

std::shared_ptr<const Matrix> some_rows(const Matrix& matrix, int64_t first, int64_t count) {
    std::vector<int32_t> row(size_t(matrix.columns));
    std::vector<int16_t> codes;
    for (int64_t r = first; r < first + count; ++r) {
        read_row(matrix, r, row.data());
        codes.insert(codes.end(), row.begin(), row.end());
    }
    return of_range(matrix, codes, count, matrix.columns);
}

std::shared_ptr<const Matrix> of_range(const Matrix& matrix, const std::vector<int16_t>& codes, int64_t rows,
                                       int64_t columns) {
    int bits = 0;
    for (const Plane& plane : matrix.planes) bits += plane.bits;
    return std::make_shared<const Matrix>(make_matrix(codes.data(), rows, columns, -matrix.offset,
                                                      (1 << bits) - 1 - matrix.offset, kNarrow, 0, nullptr));
}

}  // namespace fewbit
