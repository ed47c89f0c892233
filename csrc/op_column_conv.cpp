// Convolutions whose columns of zeros are left out, see kept_columns.h.
#include "kept_columns.h"
#include "kinds.h"
#include "linear.h"
#include "windows.h"

namespace fewbit {
namespace {

class ColumnConv : public Op {
public:
    ColumnConv(const Plan& plan, const ConvShape& shape, KeptColumns kept, std::vector<int32_t> bias, OwnedRescale rescale,
               int bias_bits)
        : shape_(shape), pieces_(std::move(kept.pieces)), runs_(std::move(kept.runs)), windows_(shape.window(), plan.input()) {
        value = {shape.rows * shape.out_places, rescale.range};
        // In one run: the numbers of a window are gathered into a row.
        auto matrix =
            std::make_shared<const Matrix>(in_runs(*kept.weight, kept.weight->columns, kept.reads_bytes));
        linear_ = Linear(std::move(matrix), std::move(bias), std::move(rescale), plan.input(), bias_bits);
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    int64_t bytes() const override {
        return linear_.matrix().bytes() + int64_t(pieces_.size() * sizeof(ColumnPiece) + runs_.size() * sizeof(ColumnRun));
    }
    Fault run(const Run& run) const override {
        const Line line = windows_.take(run, workspace().line);
        run.out->count = line.count;
        if (line.count == 0) return Fault::kNone;
        const Frames& frames = line.frames;
        ByteRows x = byte_rows(run.kernels, frames.data, frames.storage, frames.count, frames.size, frames.size,
                               workspace().split);
        x = bordered(shape_, x, linear_.matrix().moved() != 0);
        const int64_t rows = line.count * shape_.out_places;
        const Matrix& matrix = linear_.matrix();
        if (share_tiles(run.threads, rows, matrix.rows * matrix.columns,
                        [&](int64_t first, int64_t count) { tile(run, x, first, count, 1); }))
            return Fault::kNone;
        for (int64_t first = 0; first < rows; first += kTile)
            tile(run, x, first, std::min(kTile, rows - first), run.threads);
        return Fault::kNone;
    }

private:
    // Places first .. first + count of all that come out.
    void tile(const Run& run, const ByteRows& x, int64_t first, int64_t count, int threads) const {
        Workspace& scratch = workspace();
        const Matrix& matrix = linear_.matrix();
        const int64_t stride = matrix.padded_columns() + kCopySlack, part_size = (count + 1) * stride;
        int64_t* starts = scratch.outs.get(count);
        const int64_t width = shape_.out_width, step = shape_.grid.stride_width * shape_.channels;
        for (int64_t n = 0; n < count;) {
            const int64_t place = (first + n) % shape_.out_places, column = place % width;
            int64_t start = shape_.window_at((first + n) / shape_.out_places, place / width, column);
            for (const int64_t end = std::min(count, n + width - column); n < end; ++n, start += step) starts[n] = start;
        }
        auto* memory = reinterpret_cast<int8_t*>(scratch.lines.get(x.parts * part_size));
        int32_t* sums = scratch.window_sums.get(x.parts * count);
        ByteRows rows = x;
        rows.count = count;
        rows.stride = stride;
        for (int part = 0; part < x.parts; ++part) {
            int8_t* to = memory + part * part_size;
            rows.bytes[part] = to;
            run.kernels.gather_columns({x.bytes[part], starts, count, pieces_.data(), int64_t(pieces_.size()), runs_.data(),
                                        int64_t(runs_.size()), to, stride});
            for (int64_t n = 0; n < count; ++n)
                sums[part * count + n] =
                    matrix.offset == 0 ? 0 : run.kernels.byte_sum(to + n * stride, matrix.columns);
        }
        scratch.activations.take(rows, kPlainRuns, sums);
        linear_.run_tile(run.kernels, threads, scratch.activations,
                         Target{run.out->data, shape_.rows, run.out->storage}.from(first));
    }

    ConvShape shape_;
    std::vector<ColumnPiece> pieces_;
    std::vector<ColumnRun> runs_;
    Linear linear_;
    Windows windows_;
};

}  // namespace

std::unique_ptr<Op> make_column_conv(const Plan& plan, const ConvShape& shape, KeptColumns kept,
                                     std::vector<int32_t> bias, OwnedRescale rescale, int bias_bits) {
    return std::make_unique<ColumnConv>(plan, shape, std::move(kept), std::move(bias), std::move(rescale), bias_bits);
}

}  // namespace fewbit
