// A chain of integer operations that runs as a stream; docs/internals/numerics.md says what each computes.
#pragma once

#include <memory>
#include <vector>

#include "multiply.h"

namespace fewbit {

// Frames (count, stride) of integers between operations.
struct Frames {
    int32_t* data;
    int64_t count, stride;
    int32_t* frame(int64_t t) const { return data + t * stride; }
};

struct Range {
    int32_t low, high;
};

// A Rescale with memory of its own, one multiplier for each of `count` outputs.
struct OwnedRescale {
    std::vector<int32_t> multiplier;
    int shift;
    Range range;
    Rescale view() const { return {multiplier.data(), shift, range.low, range.high}; }
};

// What every operation needs to run, and memory that all of them share.
struct Workshop {
    const Kernels& kernels;
    int threads;
    Activations& activations;
    Buffer<int32_t>&sums, &gates, &back, &windows;
};

class Op {
public:
    virtual ~Op() = default;
    virtual int64_t state_size() const { return 0; }
    virtual void start(int32_t* /*state, zeros*/) const {}
    // Takes `in`, writes frames to `out` (data and stride given) and sets its count; state is changed in place.
    virtual void run(const Frames& in, Frames& out, int32_t* state, Workshop&) const = 0;
    virtual int64_t bytes() const { return 0; }
    virtual bool keeps_count() const { return true; }  // a frame comes out for each that goes in

    int64_t inputs = 0, outputs = 0;
    Range range{};  // of the outputs
};

struct Features {
    std::vector<float> gain, offset;
    Range range{};
};

class Network {
public:
    explicit Network(const Kernels& kernels) : kernels(kernels) {}

    // Frames of features (frames, inputs); y: (frames, outputs), at least as many as frames come out, which are
    // counted. state: state_size() integers, changed in place. Returns -1 if a feature is not finite.
    int64_t step(const float* x, int64_t frames, int32_t* state, int64_t* y, int threads, int64_t block) const;
    void start(int32_t* state) const;
    int64_t state_size() const;
    int64_t outputs() const { return ops.empty() ? int64_t(features.gain.size()) : ops.back()->outputs; }
    int64_t bytes() const;

    const Kernels& kernels;
    Features features;
    std::vector<std::unique_ptr<Op>> ops;
};

}  // namespace fewbit
