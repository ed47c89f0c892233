// A matrix of few-bit codes as the kernels read it.
//
// Codes become unsigned fields u = code + offset and are cut into planes of 8, 4, 2 or 1 bits: a 3-bit code is a
// plane of 2 bits and one of 1 bit. Sixteen rows make a panel. A line of 64 bytes holds 16 rows x 4 bytes of a panel;
// field f of byte c of row r belongs to column 4 f + c of the line's block, so that a line of b-bit fields covers
// 32 / b columns, and one broadcast of four neighbouring activations meets sixteen rows at once. Up to four panels lie
// side by side, line by line: the reader of a strip of 64 rows walks through memory once, from front to back.
//
//   plane  = strip, strip, ...                 strip = 4 panels (the last one may have fewer)
//   strip  = block 0: line of panel 0, 1, 2, 3; block 1: ...
//
// Columns come in segments, one for each group of columns with a scale of its own (one in all otherwise); each is
// padded to whole lines. The fields of padded columns are 0, so that it does not matter what activations stand there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fewbit {

constexpr int kPanelRows = 16;
constexpr int kStripPanels = 4;
constexpr int kLineBytes = 64;
constexpr int kColumnUnit = 64;

// Memory that starts at a cache line; zero at first.
struct LineDeleter {
    void operator()(uint8_t* memory) const;
};
using Lines = std::unique_ptr<uint8_t[], LineDeleter>;
Lines make_lines(size_t bytes);

struct Plane {
    int bits = 0;        // of a field: 8, 4, 2 or 1
    int shift = 0;       // the field counts 2**shift
    int64_t blocks = 0;  // lines of a panel
    Lines lines;
    bool is_signed = false;  // bytes of codes, for activations as unsigned bytes: 128 more than they are

    int64_t columns_per_block() const { return 4 * (8 / bits); }
};

struct Segment {
    int64_t first = 0, columns = 0;  // in the matrix
    int64_t start = 0, padded = 0;   // in padded columns
};

struct Matrix {
    int64_t rows = 0, columns = 0;
    int offset = 0;  // u = code + offset
    std::vector<Plane> planes;
    std::vector<Segment> segments;
    std::vector<int32_t> row_sums;     // (segments, padded_rows), sums of codes
    std::vector<int32_t> group_scale;  // (segments, padded_rows), empty without groups
    // In place of planes, see pairs.h: then the offset is 0, and there is one segment.
    Plane pairs;
    std::vector<int32_t> minus;  // (padded_rows,)

    int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
    int64_t padded_rows() const { return panels() * kPanelRows; }
    int64_t padded_columns() const { return segments.empty() ? 0 : segments.back().start + segments.back().padded; }
    bool in_pairs() const { return pairs.blocks > 0; }
    // What activations are moved by to be what the planes multiply.
    int32_t moved() const { return !planes.empty() && planes.front().is_signed ? 128 : 0; }
    int64_t bytes() const;
};

// How the codes of a matrix are stored: in few bits, in more bits that are faster to read (see plane_widths), or as pairs.
enum Storing : int { kNarrow, kWide, kPairs };

// The widths of planes that hold `bits`, few lines first: 3 -> 2 + 1, or 4 when `wide`; 6 -> 4 + 2, or 8.
std::vector<int> plane_widths(int bits, bool wide);

// Codes (rows, columns) in low..high, high - low < 256. group: columns of a group or 0; group_scale: (rows, groups).
// Pairs have no groups. Throws std::invalid_argument.
Matrix make_matrix(const int16_t* codes, int64_t rows, int64_t columns, int low, int high, Storing storing, int64_t group,
                   const int32_t* group_scale);

// The same matrix with its columns in runs of `run` columns, each padded to whole lines: see Runs in kernels.h. Without
// scales of groups, in planes. bytes: in one plane of 8 bits, which is signed if all codes fit.
Matrix in_runs(const Matrix&, int64_t run, bool bytes);

// Codes of a row, as they were: `codes` has room for all columns.
void read_row(const Matrix&, int64_t row, int32_t* codes);

// Lines of the first block of a strip, the number of panels in it, and the bytes from block to block.
struct Strip {
    const uint8_t* lines;
    int panels;
    int64_t step;
};
inline Strip strip_of(const Plane& plane, int64_t panels, int64_t strip) {
    const int64_t first = strip * kStripPanels;
    const int count = int(panels - first < kStripPanels ? panels - first : kStripPanels);
    return {plane.lines.get() + first * plane.blocks * kLineBytes, count, int64_t(count) * kLineBytes};
}

}  // namespace fewbit
