// How a network runs: block by block, and in each block operation by operation.
#include <cstring>

#include "network.h"
#include "words.h"

namespace fewbit {

// Some frames of the input on their way through all operations.
struct Network::Block {
    const float* x;
    int64_t count, before;  // frames now, and those that have been
    bool last;
    int32_t* state;
    int threads;
    std::vector<Frames>& values;  // of the operations so far
};

// The inputs of a node, those that waited before the new ones, and how many frames all of them have.
int64_t Network::gather(const Node& node, const Block& block, std::vector<Frames>& in) const {
    const int64_t read = node.reads.count(block.before);
    int64_t bytes = 0, ready = INT64_MAX;
    const auto waiting = [&](size_t k) {
        return node.queues[k] == 0 ? 0 : nodes_[size_t(node.inputs[k])].gives.count(block.before) - read;
    };
    in.clear();
    for (size_t k = 0; k < node.inputs.size(); ++k) {
        in.push_back(block.values[size_t(node.inputs[k])]);
        const int64_t all = waiting(k) + in[k].count;
        ready = std::min(ready, all);
        if (waiting(k) > 0) bytes += all * in[k].size * in[k].storage.bytes + kColumnUnit;
    }
    uint8_t* memory = workspace().joined.get(bytes);
    const int32_t* queue = block.state + node.queue_state;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
        const int64_t held = waiting(k);
        if (held > 0) {
            Frames joined{memory, held + in[k].count, in[k].size, in[k].storage};
            kernels.pack(queue, held * joined.size, joined.storage, joined.data);
            std::memcpy(joined.at(held * joined.size), in[k].data, size_t(in[k].numbers() * joined.storage.bytes));
            memory = joined.at(joined.numbers()) + kColumnUnit;
            in[k] = joined;
        }
        queue += node.queues[k] * in[k].size;
    }
    return ready;
}

// Puts the frames behind the first `ready` into the state; what does not wait is zero.
void Network::keep(const Node& node, const Block& block, const std::vector<Frames>& in, int64_t ready) const {
    int32_t* queue = block.state + node.queue_state;
    for (size_t k = 0; k < in.size(); ++k) {
        const int64_t room = node.queues[k] * in[k].size;
        if (room == 0) continue;
        const int64_t left = std::min((in[k].count - ready) * in[k].size, room);
        kernels.widen(in[k].at(ready * in[k].size), in[k].storage, left, queue);
        std::fill(queue + left, queue + room, 0);
        queue += room;
    }
}

Fault Network::run_block(Block& block) const {
    thread_local std::vector<Frames> in;
    for (size_t i = 0; i < nodes_.size(); ++i) {
        const Node& node = nodes_[i];
        const Op& op = *node.op;
        int64_t ready = block.count;
        if (op.source())
            in.clear();
        else
            ready = gather(node, block, in);
        if (!op.source() && !block.last) keep(node, block, in, ready);
        for (Frames& each : in) each.count = ready;
        Frames& out = block.values[i];
        out.count = ready;
        const Run run{kernels, block.threads, in.data(), ready, block.x, features, node.reads.count(block.before),
                      block.last, block.state + node.state, &out};
        const Fault fault = op.run(run);
        if (fault != Fault::kNone) return fault;
    }
    return Fault::kNone;
}

int64_t Network::step(const float* x, int64_t frames, int32_t* state, int64_t* y, int64_t most, int threads,
                      int64_t block_frames, bool last) const {
    demand(!nodes_.empty() && !is_part_, "a network has operations; a part runs inside of another");
    if (!sound(state, frames)) return int64_t(Fault::kState);
    seal();
    if (whole_) block_frames = std::max<int64_t>(frames, 1);
    const int64_t room = std::min(frames, block_frames) + (last ? extra_ : 0) + 1;
    thread_local std::vector<Frames> values;
    uint8_t* arena = workspace().arena.get(arena_ * room + kColumnUnit);
    values.clear();
    for (size_t i = 0; i < nodes_.size(); ++i) {
        const Value& value = nodes_[i].op->value;
        values.push_back({arena + places_[i] * room, 0, value.size, value.storage()});
    }
    int64_t written = 0, first = 0, before = read_word(state + 2);
    while (first < frames || (last && first == 0 && frames == 0)) {
        const int64_t count = std::min(block_frames, frames - first);
        Block block{x + first * features, count, before, last && first + count == frames, state, threads, values};
        const Fault fault = run_block(block);
        if (fault != Fault::kNone) return int64_t(fault);
        const Frames& out = values.back();
        demand(written + out.count <= most, "more frames come out than there is room for");
        constexpr int64_t kSome = 1024;
        int32_t* memory = workspace().read.get(kSome);
        for (int64_t i = 0; i < out.numbers(); i += kSome) {
            const int64_t n = std::min(kSome, out.numbers() - i);
            const int32_t* from = numbers(kernels, out, i, n, memory);
            std::copy_n(from, n, y + written * out.size + i);
        }
        written += out.count;
        first += count;
        before += count;
        if (frames == 0) break;
    }
    // A stream that has ended begins anew.
    if (last)
        start(state);
    else
        write_word(state + 2, before);
    return written;
}

}  // namespace fewbit
