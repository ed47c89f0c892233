// A graph of integer operations that runs as a stream; its wiring is that of fewbit.program.graph.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "op.h"

namespace fewbit {

// Frame j of a value is there when rate * j + late + 1 frames of the input are.
struct Timing {
    int64_t rate = 1, late = 0;

    int64_t count(int64_t frames) const { return frames > late ? (frames - 1 - late) / rate + 1 : 0; }
};

// An operation in a network, the values that it reads, and what of them waits for each other in the state.
struct Node {
    std::unique_ptr<Op> op;
    std::vector<int64_t> inputs;
    std::vector<int64_t> queues;  // frames of each input that wait at most
    Timing reads, gives;
    int64_t state = 0, queue_state = 0;  // where they begin
    int64_t extra = 0;  // frames that can come beyond 1 / rate of those of the input, when a stream ends
};

// A network does not change once it has run; from then on any number of threads may use it.
class Network {
public:
    Network(const Kernels& kernels, int64_t features) : kernels(kernels), features(features) {}
    // A part of an operation: its first operation reads frames of `reads`.
    Network(const Kernels& kernels, Value reads) : kernels(kernels), reads_(reads), is_part_(true) {}

    // Throws std::invalid_argument, and changes nothing, if the operation does not fit.
    void add(const char* kind, const std::vector<int64_t>& inputs, const fewbit_fields& fields);

    // Runs features (frames, features); y: (most, outputs). `state` is checked and then changed in place to the state after;
    // it is invalid if a Fault is returned. Returns the frames written, or a Fault.
    int64_t step(const float* x, int64_t frames, int32_t* state, int64_t* y, int64_t most, int threads, int64_t block,
                 bool last) const;
    void start(int32_t* state) const;
    int64_t state_size() const { return state_size_; }
    int64_t outputs() const { return nodes_.empty() ? reads_.size : gives().size; }
    int64_t bytes() const;
    // Memory of the values of one frame.
    int64_t value_bytes() const;
    // Whether each frame gives one at once.
    bool keeps_count() const;

    // Of a part.
    void check_part() const;
    const Value& reads() const { return reads_; }
    const Value& gives() const { return nodes_.back().op->value; }
    std::vector<std::unique_ptr<Op>> give_ops();

    const Kernels& kernels;
    const int64_t features = 0;
    Skipping skipping = Skipping::kWhereFaster;  // of operations that are added from now on

private:
    struct Block;
    void wire(Node&) const;
    void seal() const;
    bool sound(const int32_t* state, int64_t frames) const;
    Fault run_block(Block&) const;
    int64_t gather(const Node&, const Block&, std::vector<Frames>&) const;
    void keep(const Node&, const Block&, const std::vector<Frames>&, int64_t ready) const;

    std::vector<Node> nodes_;
    Value reads_;
    bool is_part_ = false, whole_ = false;
    uint64_t fingerprint_ = 0;
    int64_t state_size_ = 4;  // the fingerprint, and the count of frames

    mutable std::mutex sealing_;
    mutable std::atomic<bool> sealed_{false};
    mutable std::vector<int64_t> places_;
    mutable int64_t arena_ = 0, extra_ = 0;
};

}  // namespace fewbit
