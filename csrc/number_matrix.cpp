#include "number_matrix.h"

#include <cstring>

namespace fewbit {
namespace {

constexpr int64_t kPerBlock = 4;         // columns of a line
constexpr uint32_t kMoved = 0x80808080;  // signed bytes to unsigned ones

// Byte `plane` of a number as an unsigned field.
template <class Number>
inline uint8_t field(Number number, int plane) {
    constexpr auto middle = uint16_t(1 << (8 * sizeof(Number) - 1));
    return uint8_t((uint16_t(number) ^ middle) >> (8 * plane));
}

// Four numbers of a row. With two bytes each, words of eight bytes are squeezed together.
template <class Number>
inline void write_word(const Number* numbers, int plane, uint8_t* line) {
    uint32_t word;
    if constexpr (sizeof(Number) == 1) {
        std::memcpy(&word, numbers, sizeof(word));
    } else {
        uint64_t both;
        std::memcpy(&both, numbers, sizeof(both));
        both = both >> (8 * plane) & 0x00ff00ff00ff00ff;
        both = (both | both >> 8) & 0x0000ffff0000ffff;
        word = uint32_t(both | both >> 16);
    }
    if (plane + 1 == int(sizeof(Number))) word ^= kMoved;
    std::memcpy(line, &word, sizeof(word));
}

// Four columns of sixteen rows, a whole line. Shifts and ors become vectors; stores of single bytes would not.
template <class Number>
inline void write_line(const Number* numbers, int64_t stride, int plane, uint8_t* line) {
    const Number *a = numbers, *b = a + stride, *c = b + stride, *d = c + stride;
    const uint32_t moved = plane + 1 == int(sizeof(Number)) ? kMoved : 0;
    const auto byte = [=](Number number) { return uint32_t(number) >> (8 * plane) & 255; };
    uint32_t words[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r)
        words[r] = (byte(a[r]) | byte(b[r]) << 8 | byte(c[r]) << 16 | byte(d[r]) << 24) ^ moved;
    std::memcpy(line, words, sizeof(words));
}

// Where the lines of a panel begin, and the bytes from one to the next.
struct Panel {
    uint8_t* lines;
    int64_t step;
    uint8_t* at(int64_t row, int64_t column) const {
        return lines + column / kPerBlock * step + row * kPerBlock + column % kPerBlock;
    }
};

Panel panel_of(const Matrix& matrix, int plane, int64_t panel) {
    const Strip strip = strip_of(matrix.planes[size_t(plane)], matrix.panels(), panel / kStripPanels);
    return {const_cast<uint8_t*>(strip.lines) + panel % kStripPanels * kLineBytes, strip.step};
}

template <class Number>
void lay_rows(Matrix& matrix, const Number* numbers, int64_t stride) {
    for (int64_t r = 0; r < matrix.rows; ++r, numbers += stride) {
        const int64_t row = r % kPanelRows;
        for (int plane = 0; plane < int(sizeof(Number)); ++plane) {
            const Panel panel = panel_of(matrix, plane, r / kPanelRows);
            int64_t i = 0;
            for (; matrix.columns - i >= kPerBlock; i += kPerBlock) write_word(numbers + i, plane, panel.at(row, i));
            for (; i < matrix.columns; ++i) *panel.at(row, i) = field(numbers[i], plane);
        }
        uint32_t sum = 0;
        for (int64_t i = 0; i < matrix.columns; ++i) sum += uint32_t(int32_t(numbers[i]));
        matrix.row_sums[size_t(r)] = int32_t(sum);
    }
}

template <class Number>
void lay_columns(Matrix& matrix, const Number* numbers, int64_t stride) {
    for (int64_t first = 0; first < matrix.rows; first += kPanelRows, numbers += kPanelRows) {
        const int64_t count = matrix.rows - first < kPanelRows ? matrix.rows - first : kPanelRows;
        for (int plane = 0; plane < int(sizeof(Number)); ++plane) {
            const Panel panel = panel_of(matrix, plane, first / kPanelRows);
            int64_t i = 0;
            for (; count == kPanelRows && matrix.columns - i >= kPerBlock; i += kPerBlock)
                write_line(numbers + i * stride, stride, plane, panel.at(0, i));
            for (; i < matrix.columns; ++i)
                for (int64_t r = 0; r < count; ++r) *panel.at(r, i) = field(numbers[i * stride + r], plane);
        }
        uint32_t sums[kPanelRows] = {};
        if (count == kPanelRows)
            for (int64_t i = 0; i < matrix.columns; ++i)
                for (int r = 0; r < kPanelRows; ++r) sums[r] += uint32_t(int32_t(numbers[i * stride + r]));
        else
            for (int64_t i = 0; i < matrix.columns; ++i)
                for (int64_t r = 0; r < count; ++r) sums[r] += uint32_t(int32_t(numbers[i * stride + r]));
        for (int64_t r = 0; r < count; ++r) matrix.row_sums[size_t(first + r)] = int32_t(sums[r]);
    }
}

}  // namespace

void NumberMatrix::reshape(Storage storage, int64_t rows, int64_t columns) {
    Matrix& m = matrix_;
    m.rows = rows;
    m.columns = columns;
    m.offset = storage.bytes == 1 ? 128 - storage.offset : 1 << 15;
    const int64_t blocks = (columns + kPerBlock - 1) / kPerBlock, bytes = m.panels() * blocks * kLineBytes;
    m.segments.assign(1, {0, columns, 0, blocks * kPerBlock});
    m.row_sums.resize(size_t(m.padded_rows()));
    if (bytes > capacity_ || m.planes.size() != size_t(storage.bytes)) {
        capacity_ = bytes;
        m.planes.clear();
        for (int plane = 0; plane < storage.bytes; ++plane) m.planes.push_back({8, 8 * plane, 0, make_lines(size_t(bytes)), false});
    }
    for (Plane& plane : m.planes) {
        plane.blocks = blocks;
        // Padded columns must be zero.
        std::memset(plane.lines.get(), 0, size_t(bytes));
    }
}

// The sums of rows are those of the numbers, not of their bytes.
void NumberMatrix::move_sums(Storage storage) {
    for (int32_t& sum : matrix_.row_sums) sum += int32_t(matrix_.columns) * storage.offset;
}

const Matrix& NumberMatrix::rows(const uint8_t* numbers, Storage storage, int64_t rows, int64_t columns, int64_t stride) {
    reshape(storage, rows, columns);
    if (storage.bytes == 1)
        lay_rows(matrix_, reinterpret_cast<const int8_t*>(numbers), stride);
    else
        lay_rows(matrix_, reinterpret_cast<const int16_t*>(numbers), stride);
    move_sums(storage);
    return matrix_;
}

const Matrix& NumberMatrix::columns(const uint8_t* numbers, Storage storage, int64_t rows, int64_t columns,
                                    int64_t stride) {
    reshape(storage, rows, columns);
    if (storage.bytes == 1)
        lay_columns(matrix_, reinterpret_cast<const int8_t*>(numbers), stride);
    else
        lay_columns(matrix_, reinterpret_cast<const int16_t*>(numbers), stride);
    move_sums(storage);
    return matrix_;
}

}  // namespace fewbit
