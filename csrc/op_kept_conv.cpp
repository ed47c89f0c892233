// Convolutions of which few kernels are kept, see kept_kernels.h.
#include "kept_kernels.h"
#include "kinds.h"
#include "linear.h"
#include "windows.h"

namespace fewbit {
namespace {

constexpr int64_t kTileLines = 16;
// Of a convolution over time alone, frames of which lines are laid at once; and how many at least must be faster so.
constexpr int64_t kPieceFrames = kTileLines * kLinePlaces, kMostFew = 64;

int64_t odd_lines(int64_t bytes) { return bytes / kLineBytes % 2 == 0 ? bytes + kLineBytes : bytes; }

class KeptConv : public Op {
public:
    KeptConv(const Plan& plan, const ConvShape& shape, const Matrix& weight, KeptKernels kept, std::vector<int32_t> bias,
             OwnedRescale rescale, int bias_bits, std::unique_ptr<Op> dense, int64_t few)
        : shape_(shape), kept_(std::move(kept)), bias_(std::move(bias)), rescale_(std::move(rescale)),
          bias_bits_(bias_bits), windows_(shape.window(), plan.input()), dense_(std::move(dense)), few_(few) {
        value = {shape.rows * shape.out_places, rescale_.range};
        const Storage storage = plan.input().storage();
        fits_int32_ = results_fit_int32(weight, weight.columns, plan.input().largest(), bias_, rescale_, bias_bits_);
        // Lines hold bytes + 128. x = byte + offset, or 256 high + low + 128.
        const int32_t moved = storage.bytes == 1 ? storage.offset - 128 : -256 * 128;
        for (size_t r = 0; r < bias_.size(); ++r)
            bias_[r] = int32_t(uint32_t(bias_[r]) + ((uint32_t(kept_.row_sums[r]) * uint32_t(moved)) << bias_bits_));
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    int64_t bytes() const override { return kept_.bytes() + (dense_ ? dense_->bytes() : 0); }
    Fault run(const Run& run) const override {
        if (dense_ && run.in[0].count < few_ * shape_.stride) return dense_->run(run);
        const Line line = windows_.take(run, workspace().line);
        run.out->count = line.count;
        if (line.count == 0) return Fault::kNone;
        const Frames& frames = line.frames;
        ByteRows x = byte_rows(run.kernels, frames.data, frames.storage, frames.count, frames.size, frames.size,
                               workspace().split);
        x = bordered(shape_, x, false);
        const LineShape lines(shape_, dense_ ? std::min(line.count, kPieceFrames) : line.count);
        const Tiles tiles(lines, dense_ ? line.count : 0);
        const int64_t macs = kept_.count() * int64_t(lines.kernel_rows.size()) * lines.kernel_width * tiles.count *
                             kTileLines * kLinePlaces;
        const bool is_worth = tiles.count >= 2 * run.threads && macs >= kWorthSharing;
        share(is_worth ? run.threads : 1, tiles.count, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; ++i) tile(run, x, lines, tiles, i);
        });
        return Fault::kNone;
    }

private:
    // Pieces of the places that come out: rows of a unit, or frames of a convolution over time alone.
    struct Tiles {
        Tiles(const LineShape& lines, int64_t frames) {
            rows = std::max<int64_t>(kTileLines / lines.blocks, 1) * lines.together;
            in_unit = frames > 0 ? (frames + kPieceFrames - 1) / kPieceFrames : (lines.rows + rows - 1) / rows;
            count = lines.units * in_unit;
        }
        int64_t rows, in_unit, count;
    };

    void tile(const Run& run, const ByteRows& x, LineShape lines, const Tiles& tiles, int64_t index) const {
        Workspace& scratch = workspace();
        const int64_t unit = index / tiles.in_unit, piece = index % tiles.in_unit;
        int64_t begin = 0, width = shape_.bordered_width(), source = x.count * shape_.bordered_height();
        int64_t rows = 1, first_row = 0, first_place = 0;
        if (dense_) {
            first_place = piece * kPieceFrames;
            begin = first_place * shape_.stride;
            lines.width = std::min(lines.width, run.out->count - first_place);
            lines.blocks = (lines.width + kLinePlaces - 1) / kLinePlaces;
            width = std::min((lines.width - 1) * lines.stride + (lines.kernel_width - 1) * lines.dilation + 1, x.count - begin);
            source = 1;
        } else {
            first_row = piece * tiles.rows;
            rows = std::min(tiles.rows, lines.rows - first_row);
            begin = unit * lines.unit_step + first_row * lines.row_step;
            first_place = (unit * lines.rows + first_row) * lines.width;
            source = std::min(source - begin, (rows - 1) * lines.row_step + lines.reach());
        }
        // A convolution over time alone reads one row of frames; else begin counts rows.
        const int64_t start = begin * shape_.channels * (dense_ ? 1 : width);

        // Which rows of places are read, and where what they become begins.
        const int64_t groups = (rows + lines.together - 1) / lines.together;
        const int64_t reads = (groups - 1) * lines.together * lines.row_step + lines.reach();
        uint8_t* needed = scratch.needed.get(reads);
        std::fill(needed, needed + reads, uint8_t(0));
        const int64_t quads = kept_.quads, row_bytes = lines.blocks * quads * kLineBytes;
        const auto kernel_rows = int64_t(lines.kernel_rows.size());
        const int64_t count = groups * lines.blocks;
        int64_t* outs = scratch.outs.get(count + kernel_rows * quads);
        int64_t* offsets = outs + count;
        for (int64_t g = 0; g < groups; ++g) {
            const int64_t row = g * lines.together * lines.row_step;
            for (int64_t b = 0; b < lines.blocks; ++b) outs[b * groups + g] = row * row_bytes + b * quads * kLineBytes;
            for (int64_t i = 0; i < kernel_rows; ++i) needed[row + lines.kernel_rows[size_t(i)]] = 1;
        }
        for (int64_t i = 0; i < kernel_rows; ++i)
            for (int64_t q = 0; q < quads; ++q)
                offsets[i * quads + q] = lines.kernel_rows[size_t(i)] * row_bytes + q * kLineBytes;

        const int64_t slack = (lines.blocks * kLinePlaces + 1) * lines.stride + 4 * quads * lines.dilation + 16;
        const int64_t plane_stride = source * width + slack;
        // An odd number of cache lines: what is a stride apart has caches to itself.
        const int64_t map_stride = odd_lines(reads * row_bytes);
        const auto live = int64_t(kept_.live.size());
        uint8_t* planes = scratch.planes.get(shape_.channels * plane_stride);
        uint8_t* memory = scratch.lines.get(x.parts * live * map_stride);
        const int64_t pitch = odd_lines(count * kLineBytes) / 4;
        int32_t* sums = scratch.line_sums.get(x.parts * shape_.rows * pitch);
        KeptProduct product{{memory, memory + live * map_stride}, x.parts, map_stride, outs, count, offsets,
                            kernel_rows * quads, kept_.first.data(), kept_.maps.data(), kept_.weights.data(),
                            shape_.rows, {sums, sums + shape_.rows * pitch}, pitch};
        for (int part = 0; part < x.parts; ++part)
            run.kernels.lay_lines({x.bytes[part] + start, source, width, shape_.channels, reads, needed, lines.blocks,
                                   quads, lines.row_lanes, lines.row_step, lines.stride, lines.dilation, kept_.live.data(),
                                   live, planes, plane_stride, memory + part * live * map_stride, map_stride});
        run.kernels.kept_product(product);

        const int64_t places = rows * lines.width;
        int32_t* turned = scratch.sums.get((places + 3) * shape_.rows);
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t b = 0; b < lines.blocks; ++b) {
                const int64_t lane = (b * groups + row / lines.together) * kLinePlaces + row % lines.together * lines.row_lanes;
                const int64_t done = b * kLinePlaces;
                run.kernels.turn_kept(sums + lane, pitch, shape_.rows, std::min(lines.width - done, kLinePlaces),
                                      turned + (row * lines.width + done) * shape_.rows, shape_.rows);
            }
        const Target y = Target{run.out->data, shape_.rows, run.out->storage}.from(first_place);
        run.kernels.requantize({turned, shape_.rows, bias_.data(), rescale_.view(), shape_.rows, places, y.data, y.stride,
                                y.storage, fits_int32_, nullptr, 0, bias_bits_});
    }

    ConvShape shape_;
    KeptKernels kept_;
    std::vector<int32_t> bias_;  // includes what the lines are moved by
    OwnedRescale rescale_;
    int bias_bits_ = 0;
    bool fits_int32_ = false;
    Windows windows_;
    std::unique_ptr<Op> dense_;  // over time alone: for few frames
    int64_t few_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_kept_conv(const Plan& plan, const ConvShape& shape, const Matrix& weight,
                                   const std::vector<int32_t>& bias, const OwnedRescale& rescale, int bias_bits,
                                   std::unique_ptr<Op> dense, double share) {
    const bool wanted = plan.skipping == Skipping::kWhereFaster || plan.skipping == Skipping::kKernels;
    if (!wanted || !shape.has_little_border()) return dense;
    std::optional<KeptKernels> kept = find_kept_kernels(shape, weight);
    if (!kept || kept->live.empty()) return dense;
    const bool is_over_time = shape.grid.places() == 1 && shape.grid.kernel() == 1 && shape.out_places == 1;
    int64_t few = plan.skipping == Skipping::kKernels ? 0 : 1;
    while (few > 0 && few <= kMostFew && !is_faster_kept(plan.kernels, shape, weight, *kept, few, share)) few *= 2;
    if (few > (is_over_time ? kMostFew : 1)) return dense;
    if (!is_over_time) dense.reset();
    return std::make_unique<KeptConv>(plan, shape, weight, std::move(*kept), bias, rescale, bias_bits, std::move(dense), few);
}

}  // namespace fewbit
