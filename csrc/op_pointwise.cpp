// Operations on each number of a frame by itself: see fewbit.program.ops.elementwise.
#include <algorithm>

#include "kinds.h"
#include "repeated.h"

namespace fewbit {
namespace {

class Requantize : public Op {
public:
    explicit Requantize(const Plan& plan) {
        const int64_t width = plan.fields.number("width", 1, kMaxFrameSize);
        rescale_ = plan.fields.rescale("rescale", width, true);
        demand(plan.input().size == width, "the frame has not 'width' numbers");
        value = {width, rescale_.range};
    }
    Fault run(const Run& run) const override {
        int32_t* memory = workspace().read.get(kChunk);
        for (int64_t t = 0; t < run.count; ++t)
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                const int32_t* x = numbers(run.kernels, run.in[0], t * value.size + first, n, memory);
                run.kernels.rescale(x, nullptr, rescale_.view(first), n, y);
            });
        return Fault::kNone;
    }

private:
    OwnedRescale rescale_;
};

class Sum : public Op {
public:
    explicit Sum(const Plan& plan) {
        const std::vector<int32_t> all = plan.fields.vector("multiplier");
        shift_ = plan.fields.integer("shift", 0, kMaxShift);
        bias_ = Periodic(plan.fields.vector("bias"));
        value.range = plan.fields.range();
        const auto inputs = int64_t(plan.inputs.size()), count = int64_t(all.size());
        demand(inputs >= 1 && count % inputs == 0, "'multiplier' has no part for each input");
        for (const Value& input : plan.inputs) value.size = std::max(value.size, input.size);
        for (const Value& input : plan.inputs)
            demand(value.size % input.size == 0, "an input does not divide the frame");
        const int64_t part = count / inputs;
        demand(value.size % part == 0 && value.size % bias_.period() == 0, "a vector does not divide the frame");
        for (int64_t k = 0; k < inputs; ++k) {
            multiplier_.emplace_back(std::vector<int32_t>(all.begin() + k * part, all.begin() + (k + 1) * part));
            room_ += Repeated::room(plan.inputs[size_t(k)].size, value.size);
        }
    }
    Fault run(const Run& run) const override {
        const auto inputs = int64_t(multiplier_.size());
        thread_local std::vector<Repeated> x;
        thread_local std::vector<SumTerm> terms;
        x.clear();
        terms.resize(multiplier_.size());
        int32_t* memory = workspace().read.get(room_);
        for (int64_t k = 0; k < inputs; ++k) {
            x.emplace_back(run.kernels, run.in[k], value.size, memory);
            memory += Repeated::room(run.in[k].size, value.size);
        }
        for (int64_t t = 0; t < run.count; ++t) {
            for (Repeated& input : x) input.start(t);
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                for (int64_t k = 0; k < inputs; ++k)
                    terms[size_t(k)] = {x[size_t(k)].chunk(first, n), multiplier_[size_t(k)].at(first)};
                run.kernels.sum({terms.data(), inputs, bias_.at(first), shift_, value.range.low, value.range.high}, n, y);
            });
        }
        return Fault::kNone;
    }

private:
    std::vector<Periodic> multiplier_;
    Periodic bias_;
    int shift_ = 0;
    int64_t room_ = 0;
};

class Mul : public Op {
public:
    explicit Mul(const Plan& plan) {
        rescale_ = plan.fields.rescale_all("rescale");
        demand(plan.inputs.size() == 2, "a product reads two values");
        demand(plan.inputs[0].size % plan.inputs[1].size == 0, "the factors differ in size");
        value = {plan.inputs[0].size, rescale_.range};
    }
    Fault run(const Run& run) const override {
        int32_t* memory = workspace().read.get(kChunk + Repeated::room(run.in[1].size, value.size));
        Repeated a(run.kernels, run.in[0], value.size, memory), b(run.kernels, run.in[1], value.size, memory + kChunk);
        for (int64_t t = 0; t < run.count; ++t) {
            a.start(t);
            b.start(t);
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                run.kernels.mul(a.chunk(first, n), b.chunk(first, n), rescale_.view(), n, y);
            });
        }
        return Fault::kNone;
    }

private:
    OwnedRescale rescale_;
};

class Map : public Op {
public:
    explicit Map(const Plan& plan) {
        const std::vector<int32_t> points = plan.fields.vector("points");
        for (int32_t point : points) demand(point >= kInt16.low && point <= kInt16.high, "'points' leaves 16 bits");
        curve_.first = plan.fields.integer("first", kInt16.low, kInt16.high);
        curve_.fraction_bits = plan.fields.integer("fraction_bits", 0, 16);
        curve_.spare_bits = plan.fields.integer("spare_bits", 0, 16);
        value = {plan.input().size, plan.fields.range()};
        const int64_t past = curve_.first + ((int64_t(points.size()) - 1) << curve_.fraction_bits);
        const Range reads = plan.input().range;
        demand(curve_.first <= reads.low && reads.high < past, "the points do not cover the numbers of the input");
        curve_.last = int32_t(std::min<int64_t>(past - 1, kInt16.high));
        curve_.low = value.range.low;
        curve_.high = value.range.high;
        for (size_t i = 0; i + 1 < points.size(); ++i)
            pairs_.push_back(int32_t((uint32_t(points[i]) & 0xffff) | uint32_t(points[i + 1]) << 16));
    }
    Fault run(const Run& run) const override {
        int32_t* memory = workspace().read.get(kChunk);
        Curve curve = curve_;
        curve.pairs = pairs_.data();
        each_chunk(run, 0, run.count * value.size, [&](int64_t first, int64_t n, int32_t* y) {
            run.kernels.map(numbers(run.kernels, run.in[0], first, n, memory), curve, n, y);
        });
        return Fault::kNone;
    }

private:
    std::vector<int32_t> pairs_;
    Curve curve_{};
};

class PRelu : public Op {
public:
    explicit PRelu(const Plan& plan) {
        const std::vector<int32_t> negative = plan.fields.vector("negative");
        positive_ = plan.fields.integer("positive", -kMost32, kMost32);
        shift_ = plan.fields.integer("shift", 0, kMaxShift);
        value = {plan.input().size, plan.fields.range()};
        for (int32_t slope : negative) demand(slope >= -kMost32, "'negative' leaves 32 bits");
        negative_ = Periodic(negative);
        demand(value.size % negative_.period() == 0, "'negative' does not divide the frame");
    }
    Fault run(const Run& run) const override {
        int32_t* memory = workspace().read.get(kChunk);
        const int64_t half = shift_ > 0 ? int64_t(1) << (shift_ - 1) : 0, low = value.range.low, high = value.range.high;
        for (int64_t t = 0; t < run.count; ++t)
            each_chunk(run, t * value.size, value.size, [&](int64_t first, int64_t n, int32_t* y) {
                const int32_t* x = numbers(run.kernels, run.in[0], t * value.size + first, n, memory);
                const int32_t* negative = negative_.at(first);
                for (int64_t i = 0; i < n; ++i) {
                    const int64_t scaled = (int64_t(x[i]) * (x[i] > 0 ? positive_ : negative[i]) + half) >> shift_;
                    y[i] = int32_t(std::clamp(scaled, low, high));
                }
            });
        return Fault::kNone;
    }

private:
    static constexpr int32_t kMost32 = INT32_MAX;
    Periodic negative_;
    int32_t positive_ = 0;
    int shift_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_requantize(const Plan& plan) { return std::make_unique<Requantize>(plan); }
std::unique_ptr<Op> make_sum(const Plan& plan) { return std::make_unique<Sum>(plan); }
std::unique_ptr<Op> make_mul(const Plan& plan) { return std::make_unique<Mul>(plan); }
std::unique_ptr<Op> make_map(const Plan& plan) { return std::make_unique<Map>(plan); }
std::unique_ptr<Op> make_prelu(const Plan& plan) { return std::make_unique<PRelu>(plan); }

}  // namespace fewbit
