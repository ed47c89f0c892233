#include "network.h"

#include <cstring>

#include "arena.h"
#include "fingerprint.h"
#include "kinds.h"
#include "network_handle.h"
#include "words.h"

namespace fewbit {
namespace {

constexpr int64_t kMaxState = int64_t(1) << 40;  // integers

void add_matrix(Fingerprint& hash, const Matrix& matrix) {
    for (int64_t number : {matrix.rows, matrix.columns, int64_t(matrix.offset)}) hash.add(uint64_t(number));
    for (const Plane& plane : matrix.planes) hash.add(plane.lines.get(), matrix.panels() * plane.blocks * kLineBytes);
    hash.add(matrix.pairs.lines.get(), matrix.panels() * matrix.pairs.blocks * kLineBytes);
    hash.add(matrix.group_scale.data(), int64_t(matrix.group_scale.size() * sizeof(int32_t)));
}

}  // namespace

void Network::wire(Node& node) const {
    const Window window = node.op->window();
    int64_t late = 0, extra = INT64_MAX;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
        const Timing timing = node.inputs[k] < 0 ? Timing{} : nodes_[size_t(node.inputs[k])].gives;
        demand(k == 0 || timing.rate == node.reads.rate, "streams of different rates meet");
        node.reads.rate = timing.rate;
        late = std::max(late, timing.late);
    }
    node.reads.late = late;
    for (int64_t input : node.inputs) {
        const Timing timing = input < 0 ? Timing{} : nodes_[size_t(input)].gives;
        node.queues.push_back((late - timing.late + timing.rate - 1) / timing.rate);
        extra = std::min(extra, node.queues.back() + (input < 0 ? 0 : nodes_[size_t(input)].extra));
    }
    if (node.inputs.empty()) extra = 0;
    node.extra = (extra + window.right + 2 * (window.stride - 1)) / window.stride;
    node.gives = {node.reads.rate * window.stride, late + node.reads.rate * (window.reach - 1 - window.left)};
    demand(node.gives.rate <= kMaxRate && node.gives.late <= kMaxRate,
           "an operation gives a frame for more than 2**24 frames of the input");
}

void Network::add(const char* kind, const std::vector<int64_t>& inputs, const fewbit_fields& fields) {
    const auto count = int64_t(nodes_.size());
    std::vector<Value> values;
    for (int64_t input : inputs) {
        demand(is_part_ ? inputs.size() == 1 && input == count - 1 : input >= 0 && input < count,
               "an operation reads those before it; in a part, the one before it");
        values.push_back(input < 0 ? reads_ : nodes_[size_t(input)].op->value);
    }
    Fingerprint hash(fingerprint_ ^ uint64_t(is_part_ ? reads_.size : features));
    for (int64_t input : inputs) hash.add(uint64_t(input));
    for (int64_t i = 0; i < fields.part_count && fields.parts != nullptr; ++i)
        if (fields.parts[i] != nullptr) hash.add(fields.parts[i]->network.fingerprint_);
    Fields reader(fields);
    Node node;
    node.op = make_op(kind, {reader, values, features, kernels, skipping});
    Op& op = *node.op;
    demand(op.value.size >= 1 && op.value.size <= kMaxFrameSize, "an operation gives 1 to 2**24 numbers a frame");
    for (const Value& value : values)
        demand(value.fits_int16() || op.takes_wide(), "an operation reads numbers that leave 16 bits");
    demand(!is_part_ || (op.window().keeps_count() && !op.has_parts()), "the operation cannot be one of a part");
    // All fields are there, now that the operation has read them.
    hash.add(kind, int64_t(std::strlen(kind)));
    hash.add(fields.numbers, fields.number_count * int64_t(sizeof(int64_t)));
    for (int64_t i = 0; i < fields.vector_count; ++i)
        hash.add(fields.vectors[i], fields.lengths[i] * int64_t(sizeof(int32_t)));
    for (int64_t i = 0; i < fields.matrix_count; ++i) add_matrix(hash, *fields.matrices[i]->matrix);
    node.inputs = inputs;
    wire(node);
    node.state = state_size_;
    node.queue_state = node.state + op.state_size();
    int64_t size = node.queue_state;
    for (size_t k = 0; k < values.size(); ++k) size += node.queues[k] * values[k].size;
    demand(size <= kMaxState, "a state would have more than 2**40 numbers");
    whole_ = whole_ || op.whole();
    nodes_.push_back(std::move(node));
    state_size_ = size;
    fingerprint_ = hash.value();
    sealed_ = false;
}

int64_t Network::bytes() const {
    int64_t size = 0;
    for (const Node& node : nodes_) size += node.op->bytes();
    return size;
}

int64_t Network::value_bytes() const {
    seal();
    return arena_;
}

bool Network::keeps_count() const {
    return !nodes_.empty() && !whole_ && nodes_.back().gives.rate == 1 && nodes_.back().gives.late == 0;
}

void Network::check_part() const {
    demand(is_part_, "a part of an operation is made by fewbit_network_part");
    demand(!nodes_.empty(), "a part of an operation has no operation");
    demand(gives().fits_int16(), "the results of a part leave 16 bits");
}

std::vector<std::unique_ptr<Op>> Network::give_ops() {
    std::vector<std::unique_ptr<Op>> ops;
    for (Node& node : nodes_) ops.push_back(std::move(node.op));
    nodes_.clear();
    return ops;
}

void Network::seal() const {
    if (sealed_.load(std::memory_order_acquire)) return;
    const std::lock_guard<std::mutex> lock(sealing_);
    if (sealed_.load(std::memory_order_relaxed)) return;
    std::vector<Lifetime> lifetimes;
    extra_ = 0;
    for (size_t i = 0; i < nodes_.size(); ++i) {
        lifetimes.push_back({nodes_[i].op->value.bytes(), int64_t(i), int64_t(i)});
        for (int64_t input : nodes_[i].inputs)
            if (input >= 0) lifetimes[size_t(input)].last = int64_t(i);
        extra_ = std::max(extra_, nodes_[i].extra);
    }
    arena_ = plan_arena(lifetimes);
    places_.clear();
    for (const Lifetime& each : lifetimes) places_.push_back(each.place);
    sealed_.store(true, std::memory_order_release);
}

void Network::start(int32_t* state) const {
    std::fill(state, state + state_size_, 0);
    write_word(state, int64_t(fingerprint_));
    for (const Node& node : nodes_) node.op->start(state + node.state);
}

bool Network::sound(const int32_t* state, int64_t frames) const {
    const int64_t before = read_word(state + 2);
    if (uint64_t(read_word(state)) != fingerprint_ || !is_count(before) || frames > kMaxFrames - before) return false;
    for (const Node& node : nodes_)
        if (!node.op->sound(state + node.state, node.reads.count(before))) return false;
    return true;
}

}  // namespace fewbit
