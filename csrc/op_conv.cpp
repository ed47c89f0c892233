// Convolutions: see fewbit.program.ops.products. Each is a dense layer over windows; they differ in how the numbers of a
// window are found.
#include "joined.h"
#include "kept_columns.h"
#include "kept_kernels.h"
#include "kinds.h"
#include "linear.h"
#include "patches.h"
#include "windows.h"

namespace fewbit {
namespace {

// Frames as rows of bytes.
ByteRows rows_of(const Run& run, const Frames& frames) {
    return byte_rows(run.kernels, frames.data, frames.storage, frames.count, frames.size, frames.size, workspace().split);
}

// Reads windows where they lie: the places of one row of the kernel are neighbours, so that a window is one run of columns
// for each frame and each row of the kernel. Frames are copied once, with their padding around them.
class DirectConv : public Op {
public:
    // Whether a convolution can and should run so.
    static bool suits(const ConvShape& shape, const Matrix& weight) {
        if (shape.groups > 1 || !weight.group_scale.empty() || shape.grid.dilation_width > 1) return false;
        if (!shape.has_little_border()) return false;
        const int64_t run = shape.channels * shape.grid.kernel_width;
        const int64_t unit = shape.reads_bytes(weight) ? 4 : 32 / weight.planes.back().bits;
        const int64_t padded = (run + unit - 1) / unit * unit;
        // Little padding, and no sums that could wrap (see kMaxBlocks in product.inl).
        return padded * 2 <= run * 3 && padded * (weight.columns / run) < int64_t(1) << 16;
    }
    // How many neighbouring places run as one: only if their weights, with the zeros between them, are bytes still.
    static int64_t together(const ConvShape& shape, const Matrix& weight) {
        if (!suits(shape, weight) || !shape.reads_bytes(weight)) return 1;
        const int64_t count = neighbours_together(shape);
        const ConvShape wide = joined(shape, count);
        return wide.out_places >= kManyPlaces && wide.rows * wide.columns() <= kFewWeights ? count : 1;
    }

    DirectConv(const Plan& plan, const ConvShape& shape, const Matrix& weight, std::vector<int32_t> bias,
               OwnedRescale rescale, int bias_bits)
        : shape_(shape), windows_(shape.window(), plan.input()) {
        const Grid& grid = shape.grid;
        value = {shape.rows * shape.out_places, rescale.range};
        height_ = shape.bordered_height();
        width_ = shape.bordered_width();
        const int64_t run = shape.channels * grid.kernel_width;
        for (int64_t k = 0; k < shape.kernel; ++k)
            for (int64_t i = 0; i < grid.kernel_height; ++i) starts_.push_back(shape.start_of(k, i, 0));
        for (const int64_t start : starts_) places_.push_back(start / shape.channels);
        auto matrix = std::make_shared<const Matrix>(in_runs(weight, run, shape.reads_bytes(weight)));
        linear_ = Linear(std::move(matrix), std::move(bias), std::move(rescale), plan.input(), bias_bits);
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    int64_t bytes() const override { return linear_.matrix().bytes(); }
    Fault run(const Run& run) const override {
        const Line line = windows_.take(run, workspace().line);
        run.out->count = line.count;
        if (line.count == 0) return Fault::kNone;
        const ByteRows x = bordered(shape_, rows_of(run, line.frames), linear_.matrix().moved() != 0);
        const int64_t places = x.count * height_ * width_;
        int32_t* sums = workspace().place_sums.get(x.parts * places);
        for (int part = 0; part < x.parts && linear_.matrix().offset != 0; ++part)
            run.kernels.row_sums(x.bytes[part], shape_.channels, places, sums + part * places);
        const Pieces all = pieces(line.count);
        const int64_t macs = line.count * shape_.out_places * shape_.rows * linear_.matrix().columns;
        const bool is_worth = all.count >= 2 * run.threads && macs >= kWorthSharing;
        share(is_worth ? run.threads : 1, all.count, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; ++i) piece(run, x, sums, places, all, i);
        });
        return Fault::kNone;
    }

private:
    // How the output is cut: units (frames, or all of them where each has one place) of lines of places, some in a piece.
    struct Pieces {
        int64_t places, line, stride, line_stride;  // of a unit; of a line; bytes from place to place, and line to line
        int64_t lines, in_unit, count;              // lines of a piece, pieces of a unit, and of all
    };

    Pieces pieces(int64_t frames) const {
        const Grid& grid = shape_.grid;
        const int64_t row = width_ * shape_.channels;
        Pieces p{};
        const bool still = shape_.out_places == 1;
        p.places = still ? frames : shape_.out_places;
        p.line = still ? kTile : shape_.out_width;
        p.stride = still ? shape_.stride * height_ * row : grid.stride_width * shape_.channels;
        p.line_stride = still ? p.line * p.stride : grid.stride_height * row;
        const int64_t lines = (p.places + p.line - 1) / p.line;
        p.lines = std::max<int64_t>(kTile / p.line, 1);
        p.in_unit = (lines + p.lines - 1) / p.lines;
        p.count = still ? p.in_unit : frames * p.in_unit;
        return p;
    }

    void piece(const Run& run, const ByteRows& x, const int32_t* sums, int64_t places, const Pieces& all,
               int64_t index) const {
        const int64_t unit = index / all.in_unit, line = index % all.in_unit * all.lines, first = line * all.line;
        const int64_t start = unit * shape_.stride * height_ * width_ * shape_.channels + line * all.line_stride;
        ByteRows rows = x;
        rows.count = std::min(all.lines * all.line, all.places - first);
        rows.stride = all.stride;
        for (int part = 0; part < rows.parts; ++part) rows.bytes[part] += start;
        Workspace& scratch = workspace();
        int32_t* window_sums = scratch.window_sums.get(rows.parts * rows.count);
        if (linear_.matrix().offset == 0) std::fill(window_sums, window_sums + rows.parts * rows.count, 0);
        for (int part = 0; part < rows.parts && linear_.matrix().offset != 0; ++part)
            for (int64_t t = 0; t < rows.count; t += all.line)
                run.kernels.window_sums(
                    {sums + part * places + (start + t / all.line * all.line_stride) / shape_.channels, places_.data(),
                     int64_t(places_.size()), shape_.grid.kernel_width, all.stride / shape_.channels,
                     std::min(all.line, rows.count - t), window_sums + part * rows.count + t});
        scratch.activations.take(rows, {starts_.data(), int64_t(starts_.size()), all.line, all.line_stride}, window_sums);
        const Target y{run.out->data, shape_.rows, run.out->storage};
        linear_.run_tile(run.kernels, 1, scratch.activations, y.from(unit * all.places + first));
    }

    ConvShape shape_;
    Linear linear_;
    Windows windows_;
    int64_t height_ = 1, width_ = 1;  // of bordered frames
    std::vector<int64_t> starts_;     // of the runs of a window
    std::vector<int64_t> places_;     // the same in places
};

// Gathers the numbers of the windows for some output places at a time; groups are convolutions of their own.
class GatheredConv : public Op {
public:
    GatheredConv(const Plan& plan, const ConvShape& shape, std::vector<Linear> groups, Range range)
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
        const Line line = windows_.take(run, workspace().line);
        run.out->count = line.count;
        const ByteRows bytes = rows_of(run, line.frames);
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
            int8_t* memory = workspace().patches.get(bytes.parts * part);
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
    ConvShape shape_;
    std::vector<Linear> groups_;
    Windows windows_;
};

// A convolution whose groups have one channel in and one out: bordered frames, and a loop over channels for each place.
class DepthwiseConv : public Op {
public:
    DepthwiseConv(const Plan& plan, const ConvShape& shape, const Matrix& weight, std::vector<int32_t> bias,
                  OwnedRescale rescale, int bias_bits)
        : shape_(shape), bias_(std::move(bias)), rescale_(std::move(rescale)), bias_bits_(bias_bits),
          windows_(shape.window(), plan.input()) {
        value = {shape.rows * shape.out_places, rescale_.range};
        fits_int32_ = results_fit_int32(weight, weight.columns, plan.input().largest(), bias_, rescale_, bias_bits_);
        const Grid& grid = shape.grid;
        for (int64_t k = 0; k < shape.kernel; ++k)
            for (int64_t i = 0; i < grid.kernel_height; ++i)
                for (int64_t j = 0; j < grid.kernel_width; ++j) starts_.push_back(shape.start_of(k, i, j));
        const int64_t channels = weight.rows;
        weights_.resize(size_t(channels * weight.columns));
        sums_.resize(size_t(channels));
        std::vector<int32_t> row(size_t(weight.columns));
        for (int64_t c = 0; c < channels; ++c) {
            read_row(weight, c, row.data());
            for (int64_t k = 0; k < weight.columns; ++k) {
                weights_[size_t(k * channels + c)] = int16_t(row[size_t(k)]);
                sums_[size_t(c)] += row[size_t(k)];
            }
        }
        lay_quads();
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    int64_t bytes() const override { return int64_t(weights_.size() * sizeof(int16_t)); }
    Fault run(const Run& run) const override {
        const Line line = windows_.take(run, workspace().line);
        run.out->count = line.count;
        if (line.count == 0) return Fault::kNone;
        const ByteRows x = bordered(shape_, rows_of(run, line.frames), false);
        const int64_t rows = line.count * shape_.out_places;
        const auto tile = [&](int64_t first, int64_t count) { this->tile(run, x, first, count); };
        if (!share_tiles(run.threads, rows, int64_t(weights_.size()) * 4, tile))
            for (int64_t first = 0; first < rows; first += kTile) tile(first, std::min(kTile, rows - first));
        return Fault::kNone;
    }

private:
    // See Depthwise in kernels.h.
    void lay_quads() {
        for (int16_t weight : weights_)
            if (weight < -128 || weight > 127) return;
        const auto channels = int64_t(sums_.size()), kernel = int64_t(starts_.size()), groups = (kernel + 3) / 4;
        quads_ = make_lines(size_t(channels / 64 * groups * 256));
        for (int64_t c = 0; c < channels / 64 * 64; ++c)
            for (int64_t k = 0; k < kernel; ++k) {
                const int64_t block = (c / 64 * groups + k / 4) * 256, i = c / 16 % 4, v = c / 4 % 4, j = c % 4;
                quads_[size_t(block + ((v * 4 + i) * 4 + j) * 4 + k % 4)] = uint8_t(weights_[size_t(k * channels + c)]);
            }
    }

    // Places first .. first + count of all that come out.
    void tile(const Run& run, const ByteRows& x, int64_t first, int64_t count) const {
        const int64_t channels = shape_.channels, places = shape_.out_places, width = shape_.out_width;
        int32_t* sums = workspace().sums.get(x.parts * count * channels);
        for (int64_t done = 0; done < count;) {
            const int64_t place = (first + done) % places, column = place % width;
            const int64_t some = std::min(width - column, count - done);
            const int64_t at = shape_.window_at((first + done) / places, place / width, column);
            for (int part = 0; part < x.parts; ++part)
                run.kernels.depthwise({x.bytes[part] + at, starts_.data(), int64_t(starts_.size()), channels, some,
                                       shape_.grid.stride_width * channels, weights_.data(),
                                       reinterpret_cast<const int8_t*>(quads_.get()), sums_.data(),
                                       sums + (part * count + done) * channels});
            done += some;
        }
        // The zero-point correction is the same for all places of a channel.
        const auto more = uint32_t(x.parts == 1 ? x.offset : 128);
        if (x.parts == 2 || more != 0)
            for (int64_t t = 0; t < count; ++t)
                for (int64_t c = 0; c < channels; ++c) {
                    // Unsigned: sums may wrap.
                    int32_t& sum = sums[t * channels + c];
                    const auto high = uint32_t(sum);
                    const uint32_t low = x.parts == 2 ? uint32_t(sums[(count + t) * channels + c]) : 0;
                    sum = int32_t((x.parts == 2 ? 256 * high + low : high) + more * uint32_t(sums_[size_t(c)]));
                }
        const Target y = Target{run.out->data, channels, run.out->storage}.from(first);
        run.kernels.requantize({sums, channels, bias_.data(), rescale_.view(), channels, count, y.data, y.stride,
                                y.storage, fits_int32_, nullptr, 0, bias_bits_});
    }

    ConvShape shape_;
    std::vector<int32_t> bias_;
    OwnedRescale rescale_;
    int bias_bits_ = 0;        // the bias counts 2**-bias_bits of a sum
    bool fits_int32_ = false;  // see Requantization
    Windows windows_;
    std::vector<int64_t> starts_;   // of the places of the kernel, in bordered frames
    std::vector<int16_t> weights_;  // (kernel, channels)
    std::vector<int32_t> sums_;     // of the weights of a channel
    Lines quads_;                   // the same once more, see Depthwise; or none
};

// Multiplies all codes.
std::unique_ptr<Op> make_dense_conv(const Plan& plan, ConvShape shape, std::shared_ptr<const Matrix> weight,
                                    std::vector<int32_t> bias, OwnedRescale rescale, int bias_bits) {
    if (!shape.rows_lie_in_line() && DirectConv::suits(shape, *weight)) {
        const int64_t count = DirectConv::together(shape, *weight);
        if (count > 1) {
            weight = joined(shape, *weight, count);
            shape = joined(shape, count);
            bias = joined(bias, count);
            rescale.multiplier = joined(rescale.multiplier, count);
        }
        return std::make_unique<DirectConv>(plan, shape, *weight, std::move(bias), std::move(rescale), bias_bits);
    }
    if (shape.groups == 1) {
        const Range range = rescale.range;
        std::vector<Linear> one;
        one.emplace_back(std::move(weight), std::move(bias), std::move(rescale), plan.input(), bias_bits);
        return std::make_unique<GatheredConv>(plan, shape, std::move(one), range);
    }
    if (shape.groups == shape.channels && shape.groups == shape.rows && shape.has_little_border()) {
        // Checks the bias, too.
        const Linear checked(weight, bias, rescale, plan.input());
        return std::make_unique<DepthwiseConv>(plan, shape, *weight, std::move(bias), std::move(rescale), bias_bits);
    }
    const int64_t rows = shape.rows / shape.groups;
    std::vector<Linear> groups;
    for (int64_t g = 0; g < shape.groups; ++g) {
        const auto part = [&](const std::vector<int32_t>& all) {
            return std::vector<int32_t>(all.begin() + g * rows, all.begin() + (g + 1) * rows);
        };
        groups.emplace_back(some_rows(*weight, g * rows, rows), part(bias),
                            OwnedRescale{part(rescale.multiplier), rescale.shift, rescale.range}, plan.input(), bias_bits);
    }
    return std::make_unique<GatheredConv>(plan, shape, std::move(groups), rescale.range);
}

}  // namespace

std::unique_ptr<Op> make_conv(const Plan& plan) {
    ConvShape shape;
    Fields& fields = plan.fields;
    shape.kernel = fields.number("kernel", 1, kMaxFrameSize);
    shape.stride = fields.number("stride", 1, kMaxFrameSize);
    std::shared_ptr<const Matrix> weight = fields.matrix("weight");
    shape.rows = weight->rows;
    std::vector<int32_t> bias = fields.vector("bias");
    OwnedRescale rescale = fields.rescale("rescale", weight->rows);
    shape.dilation = fields.number("dilation", 1, kMaxFrameSize);
    shape.left = fields.number("left", -1, kMaxFrameSize);
    shape.right = fields.number("right", 0, kMaxFrameSize);
    shape.groups = fields.number("groups", 1, kMaxFrameSize);
    shape.grid = fields.grid();
    const int bias_bits = int(fields.number("bias_bits", 0, kMaxBiasBits));
    shape.check(*weight, plan.input());
    double share = 1;  // of the cost of all columns
    std::unique_ptr<Op> conv;
    if (plan.skipping == Skipping::kWhereFaster || plan.skipping == Skipping::kColumns) {
        std::optional<KeptColumns> kept = find_kept_columns(shape, *weight);
        const ColumnCosts& costs = plan.kernels.column_costs;
        if (kept) share = column_cost(costs, *kept) / dense_cost(shape, *weight);
        const bool is_faster = plan.skipping == Skipping::kColumns || share < costs.gain;
        if (kept && is_faster)
            conv = make_column_conv(plan, shape, std::move(*kept), bias, rescale, bias_bits);
        else
            share = 1;
    }
    if (!conv) conv = make_dense_conv(plan, shape, weight, bias, rescale, bias_bits);
    return make_kept_conv(plan, shape, *weight, bias, rescale, bias_bits, std::move(conv), share);
}

}  // namespace fewbit
