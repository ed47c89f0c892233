#include "pairs.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace fewbit {
namespace {

uint8_t pair_of(const int16_t* codes, int64_t columns) {
    int nibbles[2] = {0, 0}, count = 0;
    for (int64_t i = 0; i < columns; ++i) {
        if (codes[i] == 0) continue;
        if (count == 2 || codes[i] < -1 || codes[i] > 1)
            throw std::invalid_argument("pairs hold codes -1, 0 and +1, of eight columns at most two that are not 0");
        nibbles[count++] = int(i) | (codes[i] < 0 ? 8 : 0);
    }
    return count == 0 ? kNoPair : uint8_t(nibbles[0] | nibbles[1] << 4);
}

}  // namespace

Matrix make_pairs(const int16_t* codes, int64_t rows, int64_t columns) {
    Matrix matrix;
    matrix.rows = rows;
    matrix.columns = columns;
    const int64_t blocks = (columns + kPairBlock - 1) / kPairBlock, panels = matrix.panels();
    matrix.segments = {{0, columns, 0, blocks * kPairBlock}};
    matrix.row_sums.assign(size_t(matrix.padded_rows()), 0);
    // Rows that fill up the last panel have nothing, and so a minus in each group.
    matrix.minus.assign(size_t(matrix.padded_rows()), int32_t(blocks * (kPairBlock / kPairColumns)));
    std::fill_n(matrix.minus.begin(), rows, 0);
    Plane& plane = matrix.pairs;
    plane.bits = 1;
    plane.blocks = blocks;
    plane.lines = make_lines(size_t(panels * blocks * kLineBytes));
    std::memset(plane.lines.get(), kNoPair, size_t(panels * blocks * kLineBytes));
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t panel = row / kPanelRows;
        const Strip strip = strip_of(plane, panels, panel / kStripPanels);
        uint8_t* lines = const_cast<uint8_t*>(strip.lines) + (panel % kStripPanels) * kLineBytes + row % kPanelRows;
        for (int64_t group = 0; group < blocks * (kPairBlock / kPairColumns); ++group) {
            const int64_t first = group * kPairColumns, count = std::min<int64_t>(kPairColumns, columns - first);
            const uint8_t pair = count > 0 ? pair_of(codes + row * columns + first, count) : kNoPair;
            lines[group / 4 * strip.step + group % 4 * kPanelRows] = pair;
            matrix.minus[size_t(row)] += (pair >> 3 & 1) + (pair >> 7);
        }
        int32_t sum = 0;
        for (int64_t i = 0; i < columns; ++i) sum += codes[row * columns + i];
        matrix.row_sums[size_t(row)] = sum;
    }
    return matrix;
}

void read_pairs_row(const Matrix& matrix, int64_t row, int32_t* codes) {
    const int64_t panel = row / kPanelRows;
    const Strip strip = strip_of(matrix.pairs, matrix.panels(), panel / kStripPanels);
    const uint8_t* lines = strip.lines + (panel % kStripPanels) * kLineBytes + row % kPanelRows;
    std::fill(codes, codes + matrix.columns, 0);
    for (int64_t first = 0; first < matrix.columns; first += kPairColumns) {
        const int64_t group = first / kPairColumns;
        const uint8_t pair = lines[group / 4 * strip.step + group % 4 * kPanelRows];
        if (pair == kNoPair) continue;
        codes[first + (pair & 7)] += pair & 8 ? -1 : 1;
        if ((pair >> 4 & 7) != 0) codes[first + (pair >> 4 & 7)] += pair & 128 ? -1 : 1;
    }
}

Matrix in_planes(const Matrix& pairs) {
    std::vector<int16_t> codes(size_t(pairs.rows * pairs.columns));
    std::vector<int32_t> row(size_t(pairs.columns));
    for (int64_t r = 0; r < pairs.rows; ++r) {
        read_row(pairs, r, row.data());
        std::copy(row.begin(), row.end(), codes.begin() + r * pairs.columns);
    }
    return make_matrix(codes.data(), pairs.rows, pairs.columns, -1, 1, kNarrow, 0, nullptr);
}

}  // namespace fewbit
