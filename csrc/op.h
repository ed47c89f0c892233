// An operation of a Network. src/fewbit/program/ops and docs/internals/numerics.md say what each computes.
#pragma once

#include <memory>
#include <vector>

#include "fields.h"
#include "kernels.h"
#include "workspace.h"

namespace fewbit {

// How an operation steps through time, see fewbit.program.ops.Window.
struct Window {
    int64_t reach = 1, stride = 1, left = 0, right = 0;

    bool keeps_count() const { return stride == 1 && left == reach - 1 && right == 0; }
    // Windows that are complete after so many frames.
    int64_t complete(int64_t frames) const {
        return frames + left < reach ? 0 : (frames + left - reach) / stride + 1;
    }
};

// Why a stream cannot go on; the numbers are those of fewbit_network_step.
enum class Fault : int { kNone = 0, kFeature = -2, kPositions = -3, kSymbol = -4, kState = -5 };

// What an operation is given. `before`: how many frames it has had. Inputs have `count` frames each.
struct Run {
    const Kernels& kernels;
    int threads;
    const Frames* in;    // one for each input
    int64_t count;       // of frames; of features, for a source
    const float* x;      // features (count, features)
    int64_t features;    // of a frame
    int64_t before;
    bool last;           // the stream ends with these frames
    int32_t* state;      // changed in place; of no use after the last frames
    Frames* out;         // memory for all frames that can come; an operation with a window sets its count
};

class Op {
public:
    virtual ~Op() = default;
    virtual Fault run(const Run&) const = 0;
    virtual Window window() const { return {}; }
    virtual bool source() const { return false; }
    virtual bool whole() const { return false; }        // needs all frames of a stream at once
    virtual bool takes_wide() const { return false; }   // numbers beyond 16 bits
    virtual bool has_parts() const { return false; }
    virtual int64_t state_size() const { return 0; }
    virtual void start(int32_t* /*state, zeros*/) const {}
    // Whether the state can be that of a stream after so many frames; it may come from anywhere.
    virtual bool sound(const int32_t* /*state*/, int64_t /*frames*/) const { return true; }
    virtual int64_t bytes() const { return 0; }  // of weights

    Value value;  // what it gives
};

// Whether convolutions leave out kernels or columns of zeros; the numbers are those of fewbit_network_skip.
enum class Skipping : int { kWhereFaster, kKernels, kNowhere, kColumns };

// What the constructor of an operation is told.
struct Plan {
    Fields& fields;
    const std::vector<Value>& inputs;
    int64_t features;  // of a frame of the network
    const Kernels& kernels;
    Skipping skipping;

    // The only input.
    const Value& input() const;
};

// Numbers first .. first + n of frames as integers of 32 bits: where they are, or in `memory`.
inline const int32_t* numbers(const Kernels& kernels, const Frames& frames, int64_t first, int64_t n,
                              int32_t* memory) {
    if (frames.storage.bytes == 4) return reinterpret_cast<const int32_t*>(frames.data) + first;
    kernels.widen(frames.at(first), frames.storage, n, memory);
    return memory;
}

}  // namespace fewbit
