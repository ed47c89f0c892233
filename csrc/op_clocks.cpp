// Operations that know how many frames have gone by: see fewbit.program.ops.clocks.
#include "kinds.h"
#include "repeated.h"
#include "words.h"

namespace fewbit {
namespace {

class Positions : public Op {
public:
    explicit Positions(const Plan& plan) {
        plan.input();
        const int64_t width = plan.fields.number("width", 1, kMaxFrameSize);
        const std::vector<int32_t> points = plan.fields.vector("points");
        demand(int64_t(points.size()) % width == 0, "'points' holds no whole frames");
        const auto [low, high] = std::minmax_element(points.begin(), points.end());
        demand(*low >= kInt16.low && *high <= kInt16.high, "'points' leaves 16 bits");
        value = {width, {*low, *high}};
        points_.assign(points.begin(), points.end());
    }
    int64_t bytes() const override { return int64_t(points_.size() * sizeof(int16_t)); }
    Fault run(const Run& run) const override {
        const int64_t first = run.before * value.size, count = run.count * value.size;
        if (run.before > int64_t(points_.size()) / value.size - run.count) return Fault::kPositions;
        each_chunk(run, 0, count, [&](int64_t i, int64_t n, int32_t* y) {
            std::copy_n(points_.data() + first + i, n, y);
        });
        return Fault::kNone;
    }

private:
    std::vector<int16_t> points_;
};

class Phases : public Op {
public:
    explicit Phases(const Plan& plan) {
        plan.input();
        turn_ = plan.fields.vector("turn");
        begin_ = plan.fields.vector("begin");
        demand(turn_.size() == begin_.size(), "'turn' and 'begin' differ in length");
        rescale_ = plan.fields.rescale_all("rescale");
        value = {int64_t(turn_.size()), rescale_.range};
    }
    Fault run(const Run& run) const override {
        int32_t* sines = workspace().work.get(kChunk);
        for (int64_t t = 0; t < run.count; ++t)
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                const auto time = uint32_t(run.before + t);
                for (int64_t i = 0; i < n; ++i)
                    sines[i] = sine(uint32_t(begin_[size_t(first + i)]) + time * uint32_t(turn_[size_t(first + i)]));
                run.kernels.rescale(sines, nullptr, rescale_.view(), n, y);
            });
        return Fault::kNone;
    }

private:
    // With 27 fractional bits: 12 bits of the phase choose a point, 12 interpolate.
    static int32_t sine(uint32_t phase) {
        const uint32_t place = phase >> 20;
        const auto rest = int32_t(phase >> 8 & 4095);
        return sine_table[place] * (4096 - rest) + sine_table[place + 1] * rest;
    }

    std::vector<int32_t> turn_, begin_;
    OwnedRescale rescale_;
};

// Towards minus infinity, for a divisor above 0.
int64_t floor_divided(int64_t x, int64_t by) { return x / by - (x % by < 0); }

// State: the sums, of 64 bits.
class Mean : public Op {
public:
    explicit Mean(const Plan& plan) {
        rescale_ = plan.fields.rescale_all("rescale");
        value = {plan.input().size, rescale_.range};
    }
    int64_t state_size() const override { return 2 * value.size; }
    bool sound(const int32_t* state, int64_t frames) const override {
        const int64_t most = std::min<int64_t>(frames, int64_t(1) << 37) << 15;  // so that 512 * sum has 64 bits
        for (int64_t i = 0; i < value.size; ++i) {
            const int64_t sum = read_word(state + 2 * i);
            if (sum < -most || sum > most) return false;
        }
        return true;
    }
    Fault run(const Run& run) const override {
        Workspace& scratch = workspace();
        int32_t *means = scratch.work.get(kChunk), *memory = scratch.read.get(kChunk);
        for (int64_t t = 0; t < run.count; ++t)
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                const int64_t count = run.before + t + 1;
                const int32_t* x = numbers(run.kernels, run.in[0], t * value.size + first, n, memory);
                for (int64_t i = 0; i < n; ++i) {
                    int32_t* words = run.state + 2 * (first + i);
                    const int64_t sum = read_word(words) + x[i];
                    write_word(words, sum);
                    means[i] = int32_t(floor_divided(512 * sum + count, 2 * count));
                }
                run.kernels.rescale(means, nullptr, rescale_.view(), n, y);
            });
        return Fault::kNone;
    }

private:
    OwnedRescale rescale_;
};

// State: the first frame, once it has come.
class First : public Op {
public:
    explicit First(const Plan& plan) { value = plan.input(); }
    int64_t state_size() const override { return value.size; }
    Fault run(const Run& run) const override {
        const Frames& in = run.in[0];
        if (run.count > 0 && run.before == 0) run.kernels.widen(in.data, in.storage, value.size, run.state);
        for (int64_t t = 0; t < run.count; ++t)
            run.kernels.pack(run.state, value.size, run.out->storage, run.out->at(t * value.size));
        return Fault::kNone;
    }
};

}  // namespace

std::unique_ptr<Op> make_positions(const Plan& plan) { return std::make_unique<Positions>(plan); }
std::unique_ptr<Op> make_phases(const Plan& plan) { return std::make_unique<Phases>(plan); }
std::unique_ptr<Op> make_first(const Plan& plan) { return std::make_unique<First>(plan); }
std::unique_ptr<Op> make_mean(const Plan& plan) { return std::make_unique<Mean>(plan); }

}  // namespace fewbit
