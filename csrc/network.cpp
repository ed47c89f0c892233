#include "network.h"

#include <algorithm>
#include <cstring>

namespace fewbit {

int64_t Network::state_size() const {
    int64_t size = 0;
    for (const auto& op : ops) size += op->state_size();
    return size;
}

int64_t Network::bytes() const {
    int64_t size = 0;
    for (const auto& op : ops) size += op->bytes();
    return size;
}

void Network::start(int32_t* state) const {
    for (const auto& op : ops) {
        std::fill(state, state + op->state_size(), 0);
        op->start(state);
        state += op->state_size();
    }
}

int64_t Network::step(const float* x, int64_t frames, int32_t* state, int64_t* y, int threads, int64_t block) const {
    // Shared by all networks of a thread, so that a small machine holds one set of buffers.
    thread_local Activations activations;
    thread_local Buffer<int32_t> sums, gates, back, windows, signals[2];
    Workshop shop{kernels, threads, activations, sums, gates, back, windows};
    const auto inputs = int64_t(features.gain.size());
    int64_t widest = inputs;
    for (const auto& op : ops) widest = std::max(widest, op->outputs);
    const int64_t most = std::min(frames, block);
    int32_t* memory[2] = {signals[0].get(most * widest), signals[1].get(most * widest)};
    int64_t written = 0;
    for (int64_t first = 0; first < frames; first += block) {
        Frames now{memory[0], std::min(block, frames - first), inputs};
        for (int64_t t = 0; t < now.count; ++t)
            if (!kernels.features(x + (first + t) * inputs, features.gain.data(), features.offset.data(),
                                  features.range.low, features.range.high, inputs, now.frame(t)))
                return -1;
        int32_t* part = state;
        int side = 1;
        for (const auto& op : ops) {
            Frames next{memory[side], now.count, op->outputs};
            op->run(now, next, part, shop);
            part += op->state_size();
            now = next;
            side = 1 - side;
        }
        for (int64_t i = 0; i < now.count * now.stride; ++i) y[written * now.stride + i] = now.data[i];
        written += now.count;
    }
    return written;
}

}  // namespace fewbit
