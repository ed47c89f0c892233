// Dense layers and convolutions: see fewbit.program.ops.products. A convolution is a dense layer over windows, whose
// numbers are gathered for a tile of output places at a time.
#include <cstring>

#include "kinds.h"
#include "linear.h"
#include "patches.h"
#include "windows.h"

namespace fewbit {
namespace {

class Dense : public Op {
public:
    explicit Dense(const Plan& plan) {
        std::shared_ptr<const Matrix> weight = plan.fields.matrix("weight");
        std::vector<int32_t> bias = plan.fields.vector("bias");
        OwnedRescale rescale = plan.fields.rescale("rescale", weight->rows);
        places_ = plan.fields.number("places", 1, kMostNumbers);
        demand(plan.input().size == places_ * weight->columns, "the columns of 'weight' are not the numbers of a place");
        value = {places_ * weight->rows, rescale.range};
        linear_ = Linear(std::move(weight), std::move(bias), std::move(rescale), plan.input());
    }
    int64_t bytes() const override { return linear_.matrix().bytes(); }
    Fault run(const Run& run) const override {
        const int64_t columns = linear_.matrix().columns, rows = run.count * places_;
        const Frames& in = run.in[0];
        linear_.run(run.kernels, run.threads,
                    byte_rows(run.kernels, in.data, in.storage, rows, columns, columns, workshop().split),
                    {run.out->data, linear_.matrix().rows, run.out->storage});
        return Fault::kNone;
    }

private:
    Linear linear_;
    int64_t places_ = 1;
};

// What all convolutions have in common; see `Shape` for the fields.
class Conv : public Op {
public:
    Conv(const Plan& plan, const ConvShape& shape, std::vector<Linear> groups, Range range)
        : shape_(shape), groups_(std::move(groups)), windows_(shape.window(), plan.input()) {
        value = {shape.rows * shape.out_places, range};
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    int64_t bytes() const override {
        int64_t size = 0;
        for (const Linear& group : groups_) size += group.matrix().bytes();
        return size;
    }
    Fault run(const Run& run) const override {
        const Line line = windows_.take(run, workshop().line);
        run.out->count = line.count;
        const ByteRows bytes = byte_rows(run.kernels, line.frames.data, line.frames.storage, line.frames.count,
                                         shape_.size(), shape_.size(), workshop().split);
        const Target y{run.out->data, shape_.rows, run.out->storage};
        const int64_t places = shape_.out_places, rows = line.count * places;
        if (rows == 0) return Fault::kNone;
        const int64_t columns = groups_[0].matrix().columns;
        if (shape_.rows_lie_in_line()) {
            // Windows are rows as they stand, one on the other where they overlap.
            ByteRows x = bytes;
            x.count = rows;
            x.stride = places == 1 ? shape_.stride * shape_.size() : shape_.channels;
            groups_[0].run(run.kernels, run.threads, x, y);
            return Fault::kNone;
        }
        const auto tile = [&](int64_t first, int64_t count, int threads) {
            const int64_t stride = columns + kCopySlack;
            const int64_t part = (count + 1) * stride;
            int8_t* memory = workshop().patches.get(bytes.parts * part);
            for (size_t g = 0; g < groups_.size(); ++g) {
                ByteRows x{{memory, memory + part}, bytes.parts, bytes.offset, count, stride};
                for (int p = 0; p < bytes.parts; ++p)
                    gather_patches(shape_, bytes.bytes[p], padding(bytes, p), int64_t(g), first, count,
                                   memory + p * part, stride);
                Target to = y.from(first);
                to.data += int64_t(g) * shape_.rows / int64_t(groups_.size()) * y.storage.bytes;
                groups_[g].run_tile(run.kernels, threads, x, to);
            }
        };
        if (share_tiles(run.threads, rows, shape_.rows * columns,
                        [&](int64_t first, int64_t count) { tile(first, count, 1); }))
            return Fault::kNone;
        for (int64_t first = 0; first < rows; first += kTile) tile(first, std::min(kTile, rows - first), run.threads);
        return Fault::kNone;
    }

private:
    // The byte of a zero: the low part of 16 bits counts from 128.
    static int8_t padding(const ByteRows& bytes, int part) {
        return int8_t(bytes.parts == 1 ? -bytes.offset : part == 0 ? 0 : -128);
    }

    ConvShape shape_;
    std::vector<Linear> groups_;
    Windows windows_;
};

// A convolution whose groups have one channel in and one out.
class DepthwiseConv : public Op {
public:
    DepthwiseConv(const Plan& plan, const ConvShape& shape, const Matrix& weight, std::vector<int32_t> bias,
                  OwnedRescale rescale)
        : shape_(shape), bias_(std::move(bias)), rescale_(std::move(rescale)), windows_(shape.window(), plan.input()),
          weights_(size_t(weight.rows * weight.columns)) {
        value = {shape.rows * shape.out_places, rescale_.range};
        std::vector<int32_t> row(size_t(weight.columns));
        for (int64_t c = 0; c < weight.rows; ++c) {
            read_row(weight, c, row.data());
            for (int64_t k = 0; k < weight.columns; ++k) weights_[size_t(k * weight.rows + c)] = int16_t(row[size_t(k)]);
        }
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    int64_t bytes() const override { return int64_t(weights_.size() * sizeof(int16_t)); }
    Fault run(const Run& run) const override {
        const Line line = windows_.take(run, workshop().line);
        run.out->count = line.count;
        const int64_t rows = line.count * shape_.out_places;
        const auto tile = [&](int64_t first, int64_t count) { this->tile(run, line.frames, first, count); };
        if (!share_tiles(run.threads, rows, int64_t(weights_.size()) * 4, tile))
            for (int64_t first = 0; first < rows; first += kTile) tile(first, std::min(kTile, rows - first));
        return Fault::kNone;
    }

private:
    void tile(const Run& run, const Frames& line, int64_t first, int64_t count) const {
        const int64_t channels = shape_.channels, kernel = int64_t(weights_.size()) / channels;
        int32_t* sums = workshop().sums.get(count * channels);
        const uint8_t** x = workshop().places.get(kernel);
        const int64_t places = shape_.out_places, in_window = shape_.grid.kernel();
        for (int64_t i = 0; i < count; ++i) {
            const int64_t window = (first + i) / places, place = (first + i) % places;
            for (int64_t k = 0; k < shape_.kernel; ++k) {
                const int64_t frame = (window * shape_.stride + k * shape_.dilation) * shape_.size();
                each_place(shape_.grid, place, [&](int64_t p, int64_t from) {
                    x[k * in_window + p] = from < 0 ? nullptr : line.at(frame + from * channels);
                });
            }
            run.kernels.depthwise({x, line.storage, weights_.data(), kernel, channels, sums + i * channels});
        }
        const Target y = Target{run.out->data, channels, run.out->storage}.from(first);
        run.kernels.finish({sums, channels, bias_.data(), rescale_.view(), channels, count, y.data, y.stride, y.storage});
    }

    ConvShape shape_;
    std::vector<int32_t> bias_;
    OwnedRescale rescale_;
    Windows windows_;
    std::vector<int16_t> weights_;  // (kernel, channels)
};

}  // namespace

std::unique_ptr<Op> make_dense(const Plan& plan) { return std::make_unique<Dense>(plan); }

std::unique_ptr<Op> make_conv(const Plan& plan) {
    ConvShape shape;
    Fields& fields = plan.fields;
    shape.kernel = fields.number("kernel", 1, kMostNumbers);
    shape.stride = fields.number("stride", 1, kMostNumbers);
    std::shared_ptr<const Matrix> weight = fields.matrix("weight");
    shape.rows = weight->rows;
    std::vector<int32_t> bias = fields.vector("bias");
    OwnedRescale rescale = fields.rescale("rescale", weight->rows);
    shape.dilation = fields.number("dilation", 1, kMostNumbers);
    shape.left = fields.number("left", -1, kMostNumbers);
    shape.right = fields.number("right", 0, kMostNumbers);
    shape.groups = fields.number("groups", 1, kMostNumbers);
    shape.grid = fields.grid();
    shape.check(*weight, plan.input());
    if (shape.groups == 1) {
        const Range range = rescale.range;
        std::vector<Linear> one;
        one.emplace_back(std::move(weight), std::move(bias), std::move(rescale), plan.input());
        return std::make_unique<Conv>(plan, shape, std::move(one), range);
    }
    if (shape.groups == shape.channels && shape.groups == shape.rows) {
        // Checks the bias, too.
        const Linear checked(weight, bias, rescale, plan.input());
        return std::make_unique<DepthwiseConv>(plan, shape, *weight, std::move(bias), std::move(rescale));
    }
    const int64_t rows = shape.rows / shape.groups;
    std::vector<Linear> groups;
    for (int64_t g = 0; g < shape.groups; ++g) {
        const auto part = [&](const std::vector<int32_t>& all) {
            return std::vector<int32_t>(all.begin() + g * rows, all.begin() + (g + 1) * rows);
        };
        groups.emplace_back(some_rows(*weight, g * rows, rows), part(bias),
                            OwnedRescale{part(rescale.multiplier), rescale.shift, rescale.range}, plan.input());
    }
    return std::make_unique<Conv>(plan, shape, std::move(groups), rescale.range);
}

}  // namespace fewbit
