// Operations that move, choose or gather numbers of frames: see fewbit.program.ops.shaping.
#include <cstring>

#include "kinds.h"
#include "repeated.h"
#include "windows.h"

namespace fewbit {
namespace {

class Take : public Op {
public:
    explicit Take(const Plan& plan) {
        const std::vector<int32_t> part = plan.fields.vector("index");
        const int64_t repeat = plan.fields.number("repeat", 1, kMaxFrameSize);
        const int64_t stride = plan.fields.number("stride", 0, kMaxFrameSize);
        demand(!plan.inputs.empty(), "the operation reads a value");
        demand(repeat * int64_t(part.size()) <= kMaxFrameSize, "the operation takes too many numbers");
        int64_t low = INT32_MAX, high = INT32_MIN;
        for (const Value& input : plan.inputs) {
            low = std::min<int64_t>(low, input.range.low);
            high = std::max<int64_t>(high, input.range.high);
            total_ += input.size;
        }
        const int64_t lowest = low, highest = high, further = (repeat - 1) * stride;
        for (int32_t place : part) {
            const bool inside = int64_t(place) + further <= total_ && further - int64_t(place) <= total_;
            demand(place == 0 || inside, "'index' counts beyond the inputs");
            if (place == 0) low = std::min<int64_t>(low, 0), high = std::max<int64_t>(high, 0);
            if (place < 0) low = std::min(low, -highest), high = std::max(high, -lowest);
        }
        demand(low >= INT32_MIN && high <= INT32_MAX, "numbers with another sign leave 32 bits");
        index_.reserve(part.size() * size_t(repeat));
        for (int64_t r = 0; r < repeat; ++r)
            for (int32_t place : part)
                index_.push_back(place == 0 ? 0 : int32_t(place < 0 ? place - r * stride : place + r * stride));
        value = {int64_t(index_.size()), {int32_t(low), int32_t(high)}};
        find_pieces(plan.inputs);
    }
    bool takes_wide() const override { return true; }
    Fault run(const Run& run) const override {
        if (pieces_.empty()) return gather(run);
        int32_t* memory = workspace().read.get(kChunk);
        Frames& out = *run.out;
        for (int64_t t = 0; t < run.count; ++t)
            for (const Piece& piece : pieces_) {
                const Frames& in = run.in[piece.input];
                const int64_t from = t * in.size + piece.from, to = t * value.size + piece.to;
                if (in.storage.bytes == out.storage.bytes && in.storage.offset == out.storage.offset) {
                    std::memcpy(out.at(to), in.at(from), size_t(piece.count * in.storage.bytes));
                    continue;
                }
                for (int64_t i = 0; i < piece.count; i += kChunk) {
                    const int64_t n = std::min(kChunk, piece.count - i);
                    run.kernels.pack(numbers(run.kernels, in, from + i, n, memory), n, out.storage, out.at(to + i));
                }
            }
        return Fault::kNone;
    }

private:
    // Neighbours of one input that stay neighbours.
    struct Piece {
        int64_t input, from, to, count;
    };

    // Leaves `pieces_` empty if they are short, or if a number changes.
    void find_pieces(const std::vector<Value>& inputs) {
        constexpr int64_t kWorthCopying = 8;
        std::vector<int64_t> ends;
        for (const Value& input : inputs) ends.push_back((ends.empty() ? 0 : ends.back()) + input.size);
        for (int64_t i = 0; i < value.size; ++i) {
            if (index_[size_t(i)] <= 0) return pieces_.clear();
            const int64_t place = index_[size_t(i)] - 1;
            const int64_t input = std::upper_bound(ends.begin(), ends.end(), place) - ends.begin();
            const int64_t from = place - (input == 0 ? 0 : ends[size_t(input - 1)]);
            if (!pieces_.empty()) {
                Piece& last = pieces_.back();
                if (last.input == input && last.from + last.count == from) {
                    ++last.count;
                    continue;
                }
            }
            pieces_.push_back({input, from, i, 1});
        }
        if (int64_t(pieces_.size()) * kWorthCopying > value.size) pieces_.clear();
    }

    Fault gather(const Run& run) const {
        // Zero, then the numbers of all inputs.
        int32_t* all = workspace().read.get(total_ + 1);
        all[0] = 0;
        for (int64_t t = 0; t < run.count; ++t) {
            int32_t* end = all + 1;
            for (const Frames* in = run.in; end != all + 1 + total_; end += in++->size)
                run.kernels.widen(in->at(t * in->size), in->storage, in->size, end);
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                const int32_t* index = index_.data() + first;
                for (int64_t i = 0; i < n; ++i) y[i] = index[i] < 0 ? -all[-index[i]] : all[index[i]];
            });
        }
        return Fault::kNone;
    }

    std::vector<int32_t> index_;
    std::vector<Piece> pieces_;
    int64_t total_ = 0;
};

class Pool : public Op {
public:
    explicit Pool(const Plan& plan) {
        maximum_ = plan.fields.number("maximum", 0, 1) == 1;
        channels_ = plan.fields.number("channels", 1, kMaxFrameSize);
        kernel_ = plan.fields.number("kernel", 1, kMaxFrameSize);
        const int64_t stride = plan.fields.number("stride", 1, kMaxFrameSize);
        rescale_ = plan.fields.rescale_all("rescale");
        const int64_t left = plan.fields.number("left", 0, kMaxFrameSize), right = plan.fields.number("right", 0, kMaxFrameSize);
        grid_ = plan.fields.grid();
        windows_ = Windows({kernel_, stride, left, right}, plan.input());
        demand(plan.input().size == channels_ * grid_.places(), "the frame is no grid of places");
        demand(kernel_ * grid_.kernel() <= kMaxWindow, "a window has more than 2**15 numbers");
        value = {channels_ * grid_.out_places(), rescale_.range};
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size(); }
    Fault run(const Run& run) const override {
        const Line line = windows_.take(run, workspace().line);
        run.out->count = line.count;
        const bool by_rows = channels_ < kManyChannels && grid_.out_width() > 1 && grid_.stride_width <= kSmallStride;
        const int64_t places = by_rows ? row_places() : 1, numbers = by_rows ? grid_.out_width() * channels_ : channels_;
        int32_t* best = workspace().work.get(places * channels_);
        for (int64_t t = 0; t < line.count; ++t)
            for (int64_t i = 0; i < value.size / numbers; ++i) {
                // Padding is 0 in a sum, and never larger than this.
                std::fill_n(best, places * channels_, maximum_ ? kInt16.low : 0);
                for (int64_t k = 0; k < kernel_; ++k) {
                    const int64_t frame = t * windows_.window().stride + k;
                    if (line.start + frame < 0 || line.start + frame >= run.before + run.count) continue;
                    if (by_rows)
                        gather_row(run, line.frames, frame, i, best);
                    else
                        gather_place(run, line.frames, frame, i, best);
                }
                if (by_rows) drop_between(best);
                each_chunk(run, t * value.size + i * numbers, numbers, [&](int64_t first, int64_t n, int32_t* y) {
                    run.kernels.rescale(best + first, nullptr, rescale_.view(), n, y);
                });
            }
        return Fault::kNone;
    }

private:
    // With fewer channels, the windows of a row of places are taken together, even if all that begin between them are, too.
    static constexpr int64_t kManyChannels = 32, kSmallStride = 2;

    // Places where windows of a row may begin, from the first to the last.
    int64_t row_places() const { return (grid_.out_width() - 1) * grid_.stride_width + 1; }

    void gather_place(const Run& run, const Frames& frames, int64_t frame, int64_t place, int32_t* best) const {
        each_place(grid_, place, [&](int64_t, int64_t from) {
            if (from < 0) return;
            const uint8_t* x = frames.at(frame * frames.size + from * channels_);
            run.kernels.gather(x, frames.storage, maximum_, channels_, best);
        });
    }

    // All windows that begin in a row, with every stride: neighbours in memory, for each place of the kernel.
    void gather_row(const Run& run, const Frames& frames, int64_t frame, int64_t row, int32_t* best) const {
        for (int64_t i = 0; i < grid_.kernel_height; ++i) {
            const int64_t h = row * grid_.stride_height - grid_.top + i * grid_.dilation_height;
            if (h < 0 || h >= grid_.height) continue;
            for (int64_t j = 0; j < grid_.kernel_width; ++j) {
                const int64_t left = grid_.left - j * grid_.dilation_width;
                const int64_t first = std::max<int64_t>(left, 0), last = std::min(row_places(), grid_.width + left);
                if (first >= last) continue;
                const uint8_t* x = frames.at(frame * frames.size + (h * grid_.width + first - left) * channels_);
                run.kernels.gather(x, frames.storage, maximum_, (last - first) * channels_, best + first * channels_);
            }
        }
    }

    void drop_between(int32_t* best) const {
        if (grid_.stride_width == 1) return;
        for (int64_t j = 1; j < grid_.out_width(); ++j)
            std::copy_n(best + j * grid_.stride_width * channels_, channels_, best + j * channels_);
    }

    bool maximum_ = false;
    int64_t channels_ = 1, kernel_ = 1;
    OwnedRescale rescale_;
    Grid grid_;
    Windows windows_;
};

class Reverse : public Op {
public:
    explicit Reverse(const Plan& plan) { value = plan.input(); }
    bool whole() const override { return true; }
    Fault run(const Run& run) const override {
        const Frames& in = run.in[0];
        const auto bytes = size_t(in.size * in.storage.bytes);
        for (int64_t t = 0; t < run.count; ++t)
            std::memcpy(run.out->at(t * in.size), in.at((run.count - 1 - t) * in.size), bytes);
        return Fault::kNone;
    }
};

}  // namespace

std::unique_ptr<Op> make_take(const Plan& plan) { return std::make_unique<Take>(plan); }
std::unique_ptr<Op> make_pool(const Plan& plan) { return std::make_unique<Pool>(plan); }
std::unique_ptr<Op> make_reverse(const Plan& plan) { return std::make_unique<Reverse>(plan); }

}  // namespace fewbit
