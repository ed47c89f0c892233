#include "matrix.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

#include "limits.h"
#include "pairs.h"

namespace fewbit {

void LineDeleter::operator()(uint8_t* memory) const { ::operator delete[](memory, std::align_val_t(kLineBytes)); }

Lines make_lines(size_t bytes) {
    auto* memory = static_cast<uint8_t*>(::operator new[](std::max<size_t>(bytes, 1), std::align_val_t(kLineBytes)));
    std::memset(memory, 0, bytes);
    return Lines(memory);
}

int64_t Matrix::bytes() const {
    int64_t total = int64_t(row_sums.size() + group_scale.size() + minus.size()) * 4 + panels() * pairs.blocks * kLineBytes;
    for (const Plane& plane : planes) total += panels() * plane.blocks * kLineBytes;
    return total;
}

std::vector<int> plane_widths(int bits, bool wide) {
    if (bits < 1 || bits > 8) throw std::invalid_argument("codes have 1 to 8 bits");
    for (int width : {1, 2, 4, 8})
        if (bits == width || (wide && bits < width)) return {width};
    std::vector<int> widths;
    for (int width : {4, 2, 1})
        if (bits & width) widths.push_back(width);
    return widths;
}

namespace {

// unit: the columns of a segment are padded to a multiple of it.
std::vector<Segment> make_segments(int64_t columns, int64_t group, int64_t unit) {
    std::vector<Segment> segments;
    int64_t start = 0;
    for (int64_t first = 0; first < columns; first += group) {
        const int64_t size = std::min(group, columns - first);
        const int64_t padded = (size + unit - 1) / unit * unit;
        segments.push_back({first, size, start, padded});
        start += padded;
    }
    return segments;
}

void fill_plane(Plane& plane, const Matrix& matrix, const int16_t* codes) {
    const int64_t per_block = plane.columns_per_block(), panels = matrix.panels();
    const int mask = (1 << plane.bits) - 1;
    plane.blocks = matrix.padded_columns() / per_block;
    plane.lines = make_lines(size_t(panels * plane.blocks * kLineBytes));
    for (int64_t row = 0; row < matrix.rows; ++row) {
        const int64_t panel = row / kPanelRows;
        const Strip strip = strip_of(plane, panels, panel / kStripPanels);
        uint8_t* lines = const_cast<uint8_t*>(strip.lines) + (panel % kStripPanels) * kLineBytes + row % kPanelRows * 4;
        for (const Segment& segment : matrix.segments)
            for (int64_t i = 0; i < segment.columns; ++i) {
                const int value = codes[row * matrix.columns + segment.first + i] + matrix.offset;
                const int64_t column = segment.start + i, place = column % per_block;
                lines[column / per_block * strip.step + place % 4] |=
                    uint8_t(((value >> plane.shift) & mask) << (place / 4 * plane.bits));
            }
    }
}

}  // namespace

Matrix make_matrix(const int16_t* codes, int64_t rows, int64_t columns, int low, int high, Storing storing, int64_t group,
                   const int32_t* group_scale) {
    if (rows < 1 || columns < 1 || rows > kMaxFrameSize || columns > kMaxFrameSize)
        throw std::invalid_argument("a matrix has 1 to 2**24 rows and columns");
    if (low > 0 || high < 0 || int64_t(high) - low > 255)
        throw std::invalid_argument("the range of the codes is not 8 bits");
    if (codes == nullptr) throw std::invalid_argument("a matrix has codes");
    if (group < 0 || (group > 0) != (group_scale != nullptr))
        throw std::invalid_argument("a group has columns, and comes together with scales");
    for (int64_t i = 0; i < rows * columns; ++i)
        if (codes[i] < low || codes[i] > high) throw std::invalid_argument("a code lies outside of its range");
    if (storing == kPairs) {
        if (group > 0) throw std::invalid_argument("pairs have no scales of groups");
        return make_pairs(codes, rows, columns);
    }
    Matrix matrix;
    matrix.rows = rows;
    matrix.columns = columns;
    matrix.offset = -low;
    int bits = 1;
    while (high - low >= 1 << bits) ++bits;
    int shift = 0;
    std::vector<int> widths = plane_widths(bits, storing == kWide);
    // A line of the narrowest fields covers most columns.
    matrix.segments = make_segments(columns, group > 0 ? group : columns, 32 / widths.back());
    for (int width : widths) {
        Plane& plane = matrix.planes.emplace_back();
        plane.bits = width;
        plane.shift = shift;
        fill_plane(plane, matrix, codes);
        shift += width;
    }
    const int64_t stride = matrix.padded_rows();
    const auto count = matrix.segments.size();
    matrix.row_sums.assign(count * stride, 0);
    if (group_scale != nullptr) matrix.group_scale.assign(count * stride, 0);
    for (size_t s = 0; s < count; ++s)
        for (int64_t row = 0; row < rows; ++row) {
            const int16_t* first = codes + row * columns + matrix.segments[s].first;
            int32_t sum = 0;
            for (int64_t i = 0; i < matrix.segments[s].columns; ++i) sum += first[i];
            matrix.row_sums[s * stride + row] = sum;
            if (group_scale == nullptr) continue;
            const int32_t scale = group_scale[row * count + s];
            if (scale < 1 || scale > kMaxGroupScale) throw std::invalid_argument("the scale of a group lies in 1..2**14");
            matrix.group_scale[s * stride + row] = scale;
        }
    return matrix;
}

void read_row(const Matrix& matrix, int64_t row, int32_t* codes) {
    if (matrix.in_pairs()) return read_pairs_row(matrix, row, codes);
    std::fill(codes, codes + matrix.columns, -matrix.offset);
    const int64_t panel = row / kPanelRows;
    for (const Plane& plane : matrix.planes) {
        const Strip strip = strip_of(plane, matrix.panels(), panel / kStripPanels);
        const uint8_t* lines = strip.lines + (panel % kStripPanels) * kLineBytes + row % kPanelRows * 4;
        const int64_t per_block = plane.columns_per_block();
        const int mask = (1 << plane.bits) - 1;
        for (const Segment& segment : matrix.segments)
            for (int64_t i = 0; i < segment.columns; i += 4) {
                const int64_t place = i % per_block;
                const uint8_t* bytes = lines + (segment.start + i) / per_block * strip.step;
                const int64_t count = std::min<int64_t>(4, segment.columns - i);
                for (int64_t k = 0; k < count; ++k)
                    codes[segment.first + i + k] += ((bytes[k] >> (place / 4 * plane.bits)) & mask) << plane.shift;
            }
    }
}

Matrix in_runs(const Matrix& matrix, int64_t run, bool bytes) {
    Matrix found;
    found.rows = matrix.rows;
    found.columns = matrix.columns;
    found.offset = matrix.offset;
    found.row_sums = matrix.row_sums;
    found.segments = make_segments(matrix.columns, run, 32 / (bytes ? 8 : matrix.planes.back().bits));
    std::vector<int16_t> codes(size_t(matrix.rows * matrix.columns));
    std::vector<int32_t> row(size_t(matrix.columns));
    for (int64_t r = 0; r < matrix.rows; ++r) {
        read_row(matrix, r, row.data());
        std::copy(row.begin(), row.end(), codes.begin() + r * matrix.columns);
    }
    const auto [low, high] = std::minmax_element(codes.begin(), codes.end());
    const bool is_signed = bytes && *low >= -128 && *high <= 127;
    if (is_signed) found.offset = 0;
    for (const Plane& plane : matrix.planes) {
        Plane& same = found.planes.emplace_back();
        same.bits = plane.bits;
        same.shift = plane.shift;
        same.is_signed = is_signed;
        if (bytes) same.bits = 8;
        fill_plane(same, found, codes.data());
        if (bytes) break;
    }
    found.segments = {{0, matrix.columns, 0, found.padded_columns()}};
    return found;
}

}  // namespace fewbit
