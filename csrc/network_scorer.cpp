#include "network_scorer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace fewbit {

void NetworkScorer::start(uint8_t* state, float* ln) const {
    auto* integers = reinterpret_cast<int32_t*>(state);
    network_.start(integers);
    run(0, integers, ln);
}

void NetworkScorer::step(int64_t count, const uint8_t* const* before, const int32_t* labels, uint8_t* const* after,
                         float* const* ln) const {
    for (int64_t i = 0; i < count; ++i) {
        std::memcpy(after[i], before[i], size_t(state_bytes()));
        run(labels[i], reinterpret_cast<int32_t*>(after[i]), ln[i]);
    }
}

void NetworkScorer::run(int32_t label, int32_t* state, float* ln) const {
    thread_local std::vector<float> x;
    thread_local std::vector<int64_t> y;
    const size_t width = size_t(classes());
    x.assign(width, 0.0f);
    x[size_t(label)] = 1.0f;
    y.resize(width);
    if (network_.step(x.data(), 1, state, y.data(), 1, 1, 1, false) != 1)
        throw std::runtime_error("the network of a language model cannot go on: its state is damaged, or its positions end");
    const int64_t most = *std::max_element(y.begin() + 1, y.end());
    double sum = 0;
    for (size_t k = 1; k < width; ++k) sum += std::exp(double(y[k] - most) / 1024);
    const double rest = std::log(sum);
    ln[0] = 0;
    for (size_t k = 1; k < width; ++k) ln[k] = float(weight_ * (double(y[k] - most) / 1024 - rest));
}

}  // namespace fewbit
