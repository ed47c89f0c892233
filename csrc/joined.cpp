#include "joined.h"

namespace fewbit {
namespace {

constexpr int64_t kMostRows = kStripPanels * kPanelRows;

int64_t joined_width(const Grid& grid, int64_t count) { return grid.kernel_width + (count - 1) * grid.stride_width; }

}  // namespace

int64_t neighbours_together(const ConvShape& shape) {
    int64_t best = 1, best_lines = 0;
    for (int64_t count = 1; count * shape.rows <= kMostRows && count <= shape.out_width; ++count) {
        if (shape.out_width % count != 0) continue;
        const int64_t panels = (count * shape.rows + kPanelRows - 1) / kPanelRows;
        const int64_t lines = panels * ((joined_width(shape.grid, count) * shape.channels + 3) / 4);
        // Lines of a place: lines / count.
        if (count > 1 && lines * best >= best_lines * count) continue;
        best = count;
        best_lines = lines;
    }
    return best;
}

ConvShape joined(const ConvShape& shape, int64_t count) {
    ConvShape found = shape;
    found.grid.kernel_width = joined_width(shape.grid, count);
    found.grid.stride_width = shape.grid.stride_width * count;
    found.rows = shape.rows * count;
    found.out_width = found.grid.out_width();
    found.out_places = found.grid.out_places();
    return found;
}

std::shared_ptr<const Matrix> joined(const ConvShape& shape, const Matrix& weight, int64_t count) {
    const int64_t run = shape.grid.kernel_width * shape.channels, wide = joined_width(shape.grid, count) * shape.channels;
    const int64_t runs = weight.columns / run, columns = runs * wide;
    std::vector<int16_t> codes(size_t(weight.rows * count * columns));
    std::vector<int32_t> row(size_t(weight.columns));
    for (int64_t r = 0; r < weight.rows; ++r) {
        read_row(weight, r, row.data());
        for (int64_t n = 0; n < count; ++n)
            for (int64_t i = 0; i < runs; ++i)
                std::copy_n(row.begin() + i * run, run,
                            codes.begin() + (n * weight.rows + r) * columns + i * wide +
                                n * shape.grid.stride_width * shape.channels);
    }
    return of_range(weight, codes, weight.rows * count, columns);
}

std::vector<int32_t> joined(const std::vector<int32_t>& each, int64_t count) {
    std::vector<int32_t> found;
    for (int64_t n = 0; n < count; ++n) found.insert(found.end(), each.begin(), each.end());
    return found;
}

}  // namespace fewbit
