#include "kept_kernels.h"

namespace fewbit {

LineShape::LineShape(const ConvShape& shape, int64_t windows) {
    const Grid& grid = shape.grid;
    const int64_t height = shape.bordered_height();
    if (grid.places() == 1 && grid.kernel() == 1 && shape.out_places == 1) {
        width = windows;
        stride = shape.stride;
        dilation = shape.dilation;
        kernel_width = shape.kernel;
        kernel_rows = {0};
    } else {
        width = shape.out_width;
        stride = grid.stride_width;
        dilation = grid.dilation_width;
        kernel_width = grid.kernel_width;
        for (int64_t k = 0; k < shape.kernel; ++k)
            for (int64_t i = 0; i < grid.kernel_height; ++i)
                kernel_rows.push_back(k * shape.dilation * height + i * grid.dilation_height);
        const int64_t out_height = shape.out_places / shape.out_width;
        const bool flat = out_height == 1;  // then each window is a row
        units = flat ? 1 : windows;
        unit_step = shape.stride * height;
        rows = flat ? windows : out_height;
        row_step = flat ? unit_step : grid.stride_height;
    }
    row_lanes = std::min((width + 3) / 4 * 4, kLinePlaces);
    together = width > kLinePlaces ? 1 : kLinePlaces / row_lanes;
    blocks = (width + kLinePlaces - 1) / kLinePlaces;
}

std::optional<KeptKernels> find_kept_kernels(const ConvShape& shape, const Matrix& weight) {
    if (!weight.group_scale.empty()) return {};
    const LineShape lines(shape, 1);
    const int64_t maps = shape.channels / shape.groups, taps = weight.columns / maps;
    const auto kernel_rows = int64_t(lines.kernel_rows.size());
    KeptKernels found;
    found.quads = (lines.kernel_width + 3) / 4;
    found.first = {0};
    std::vector<int32_t> row(size_t(weight.columns)), place(size_t(shape.channels), -1);
    for (int64_t r = 0; r < weight.rows; ++r) {
        read_row(weight, r, row.data());
        int32_t sum = 0;
        for (int64_t m = 0; m < maps; ++m) {
            bool kept = false;
            for (int64_t tap = 0; tap < taps; ++tap) {
                const int32_t code = row[size_t(tap * maps + m)];
                if (code < -128 || code > 127) return {};
                kept |= code != 0;
                sum += code;
            }
            if (!kept) continue;
            const int64_t channel = r / (weight.rows / shape.groups) * maps + m;
            if (place[size_t(channel)] < 0) {
                place[size_t(channel)] = int32_t(found.live.size());
                found.live.push_back(int32_t(channel));
            }
            found.maps.push_back(place[size_t(channel)]);
            const size_t at = found.weights.size();
            found.weights.resize(at + size_t(kernel_rows * found.quads * 4));
            for (int64_t i = 0; i < kernel_rows; ++i)
                for (int64_t j = 0; j < lines.kernel_width; ++j)
                    found.weights[at + size_t(i * found.quads * 4 + j)] =
                        int8_t(row[size_t((i * lines.kernel_width + j) * maps + m)]);
        }
        found.first.push_back(int32_t(found.maps.size()));
        found.row_sums.push_back(sum);
    }
    return found;
}

// What it costs, in products of a line, to lay a line, and to take the sums of one to places; and what a product costs where
// there are fewer than eight lines.
constexpr double kLaying = 12, kTurning = 16, kAlone = 1.25;

bool is_faster_kept(const Kernels& kernels, const ConvShape& shape, const Matrix& weight, const KeptKernels& kept,
                    int64_t windows, double share) {
    const LineShape lines(shape, windows);
    const int64_t places = windows * shape.out_places, maps = shape.channels / shape.groups;
    const auto quads = double(int64_t(lines.kernel_rows.size()) * kept.quads);
    const double taps = double(shape.kernel * shape.grid.kernel());
    const double dense = double(places * shape.rows * maps) * taps / 64;
    const double sources = double(lines.units) * double((lines.rows - 1) * lines.row_step + lines.reach());
    const double laid = double(int64_t(kept.live.size()) * kept.quads * lines.blocks) * sources;
    const double product = lines.lines() < 8 ? kAlone : 1;
    const double sparse = product * double(kept.count() * lines.lines()) * quads + kLaying * laid +
                          kTurning * double(shape.rows * lines.lines());
    const bool bits = weight.planes.front().bits < 8 && !shape.reads_bytes(weight);
    return sparse < (bits ? kernels.kept_gain_of_bits : kernels.kept_gain) * share * dense;
}

}  // namespace fewbit
