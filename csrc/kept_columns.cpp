#include "kept_columns.h"

#include "joined.h"

namespace fewbit {
namespace {

double lines_of(int64_t rows, int64_t columns) {
    return double((rows + kPanelRows - 1) / kPanelRows) * double((columns + 3) / 4);
}

}  // namespace

std::optional<KeptColumns> find_kept_columns(const ConvShape& shape, const Matrix& weight) {
    if (shape.groups > 1 || !weight.group_scale.empty() || !shape.has_little_border()) return {};
    std::vector<uint8_t> is_kept(size_t(weight.columns));
    std::vector<int32_t> row(size_t(weight.columns));
    for (int64_t r = 0; r < weight.rows; ++r) {
        read_row(weight, r, row.data());
        for (size_t c = 0; c < is_kept.size(); ++c) is_kept[c] |= uint8_t(row[c] != 0);
    }
    const int64_t kept = std::count(is_kept.begin(), is_kept.end(), uint8_t(1));
    if (kept == 0 || kept == weight.columns) return {};

    KeptColumns found;
    const Grid& grid = shape.grid;
    // The columns of one row of the kernel are neighbours in a frame, if its places are.
    const bool joined = grid.dilation_width == 1;
    const int64_t run = joined ? grid.kernel_width * shape.channels : shape.channels;
    int64_t to = 0;
    for (int64_t first = 0; first < weight.columns; first += run) {
        const int64_t place = first / shape.channels, j = place % grid.kernel_width;
        const int64_t i = place / grid.kernel_width % grid.kernel_height, k = place / grid.kernel();
        const int64_t start = shape.start_of(k, i, j);
        int64_t piece_end = 0, run_end = 0;  // columns before them are in the last piece, and in the last run
        for (int64_t c = 0; c < run; ++c) {
            if (!is_kept[size_t(first + c)]) continue;
            if (c >= piece_end) found.pieces.push_back({start + c, to, {}});
            if (c >= run_end) found.runs.push_back({start + c, to, 0});
            if (c >= piece_end) piece_end = c + kPieceBytes;
            if (c >= run_end) run_end = c + kRunBytes;
            ColumnPiece& piece = found.pieces.back();
            ColumnRun& wide = found.runs.back();
            piece.order[to - piece.to] = uint8_t(start + c - piece.from);
            wide.kept |= uint64_t(1) << (start + c - wide.from);
            ++to;
        }
    }
    std::vector<int16_t> codes;
    for (int64_t r = 0; r < weight.rows; ++r) {
        read_row(weight, r, row.data());
        for (size_t c = 0; c < is_kept.size(); ++c)
            if (is_kept[c]) codes.push_back(int16_t(row[c]));
    }
    found.reads_bytes = shape.reads_bytes(weight);
    found.weight = of_range(weight, codes, weight.rows, kept);
    return found;
}

double column_cost(const ColumnCosts& costs, const KeptColumns& kept) {
    const double pieces = costs.piece * double(kept.pieces.size());
    return lines_of(kept.weight->rows, kept.weight->columns) + pieces + costs.window;
}

double dense_cost(const ConvShape& shape, const Matrix& weight) {
    const int64_t count = shape.reads_bytes(weight) ? neighbours_together(shape) : 1;
    const ConvShape wide = joined(shape, count);
    return lines_of(wide.rows, wide.columns()) / double(count);
}

}  // namespace fewbit
