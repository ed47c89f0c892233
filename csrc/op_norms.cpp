// Norms, softmax and its logarithm: see fewbit.program.ops.norms.
#include "kinds.h"
#include "repeated.h"

namespace fewbit {
namespace {

int64_t group_length(const Plan& plan) {
    const int64_t length = plan.fields.number("length", 1, kMaxNorm);
    demand(plan.input().size % length == 0, "'length' does not divide the frame");
    return length;
}

// Groups of a frame: each(x, y) reads and writes `length` integers.
template <class Each>
void each_group(const Run& run, int64_t length, const Each& each) {
    Workspace& scratch = workspace();
    int32_t *read = scratch.read.get(length), *written = scratch.written.get(length);
    const bool in_place = run.out->storage.bytes == 4;
    for (int64_t first = 0; first < run.in[0].numbers(); first += length) {
        int32_t* y = in_place ? reinterpret_cast<int32_t*>(run.out->at(first)) : written;
        each(numbers(run.kernels, run.in[0], first, length, read), y);
        if (!in_place) run.kernels.pack(y, length, run.out->storage, run.out->at(first));
    }
}

class Norm : public Op {
public:
    explicit Norm(const Plan& plan) {
        job_.length = group_length(plan);
        job_.centre = plan.fields.number("centre", 0, 1) == 1;
        const int64_t mantissa = plan.fields.number("eps_mantissa", 0, INT32_MAX);
        job_.eps = mantissa << plan.fields.number("eps_shift", 0, 30);
        multiplier_ = plan.fields.vector("multiplier");
        job_.shift = plan.fields.integer("shift", 0, kMaxShift);
        bias_ = plan.fields.vector("bias");
        value = {plan.input().size, plan.fields.range()};
        for (std::vector<int32_t>* vector : {&multiplier_, &bias_}) {
            const auto count = int64_t(vector->size());
            demand(count == 1 || count == job_.length, "'multiplier' or 'bias' has a wrong number of entries");
            vector->resize(size_t(job_.length), vector->front());
        }
        job_.low = value.range.low;
        job_.high = value.range.high;
    }
    Fault run(const Run& run) const override {
        Normalise job = job_;
        job.multiplier = multiplier_.data();
        job.bias = bias_.data();
        int32_t* work = workspace().work.get(job.length);
        each_group(run, job.length, [&](const int32_t* x, int32_t* y) { run.kernels.norm(x, job, work, y); });
        return Fault::kNone;
    }

private:
    Normalise job_{};
    std::vector<int32_t> multiplier_, bias_;
};

// Shares, or their logarithms.
class Softmax : public Op {
public:
    Softmax(const Plan& plan, bool is_log) : is_log_(is_log) {
        length_ = group_length(plan);
        exponent_ = plan.fields.exponent();
        rescale_ = plan.fields.rescale_all("rescale");
        value = {plan.input().size, rescale_.range};
    }
    Fault run(const Run& run) const override {
        int32_t* shares = workspace().work.get(length_);
        each_group(run, length_, [&](const int32_t* x, int32_t* y) {
            (is_log_ ? run.kernels.log_softmax : run.kernels.softmax)(x, exponent_, length_, shares);
            for (int64_t i = 0; i < length_; i += kChunk)
                run.kernels.rescale(shares + i, nullptr, rescale_.view(), std::min(kChunk, length_ - i), y + i);
        });
        return Fault::kNone;
    }

private:
    bool is_log_;
    int64_t length_ = 1;
    Exponent exponent_{};
    OwnedRescale rescale_;
};

class Magnitude : public Op {
public:
    explicit Magnitude(const Plan& plan) {
        eps_ = plan.fields.number("eps", 0, INT32_MAX);
        rescale_ = plan.fields.rescale_all("rescale");
        const auto inputs = int64_t(plan.inputs.size());
        demand(inputs >= 1 && inputs <= kMaxSquares, "the operation reads 1 to 16 values");
        for (const Value& input : plan.inputs)
            demand(input.size == plan.inputs[0].size, "the inputs differ in size");
        value = {plan.inputs[0].size, rescale_.range};
        inputs_ = inputs;
    }
    Fault run(const Run& run) const override {
        int32_t *memory = workspace().read.get(inputs_ * kChunk), *roots = workspace().work.get(kChunk);
        const int32_t* x[kMaxSquares];
        each_chunk(run, 0, run.count * value.size, [&](int64_t first, int64_t n, int32_t* y) {
            for (int64_t k = 0; k < inputs_; ++k) x[k] = numbers(run.kernels, run.in[k], first, n, memory + k * kChunk);
            run.kernels.magnitude(x, inputs_, eps_, n, roots);
            run.kernels.rescale(roots, nullptr, rescale_.view(), n, y);
        });
        return Fault::kNone;
    }

private:
    int64_t eps_ = 0, inputs_ = 1;
    OwnedRescale rescale_;
};

}  // namespace

std::unique_ptr<Op> make_magnitude(const Plan& plan) { return std::make_unique<Magnitude>(plan); }
std::unique_ptr<Op> make_norm(const Plan& plan) { return std::make_unique<Norm>(plan); }
std::unique_ptr<Op> make_softmax(const Plan& plan) { return std::make_unique<Softmax>(plan, false); }
std::unique_ptr<Op> make_log_softmax(const Plan& plan) { return std::make_unique<Softmax>(plan, true); }

}  // namespace fewbit
