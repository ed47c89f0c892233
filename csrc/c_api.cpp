#include "c_api.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "guard.h"
#include "network_scorer.h"
#include "operations.h"
#include "scorer_handle.h"

using namespace fewbit;

struct fewbit_matrix {
    std::shared_ptr<const Matrix> matrix;
};
struct fewbit_network {
    Network network;
};

namespace {

thread_local std::string last_error;

constexpr int64_t kMostUnits = 1 << 24;  // and frames of a window
constexpr int32_t kMostBias = 1 << 30;
constexpr Range kGates{-32768, 32767};

OwnedRescale own(const fewbit_rescale& rescale, int64_t outputs) {
    demand(rescale.multiplier != nullptr && (rescale.count == 1 || rescale.count == outputs),
           "a rescale has one multiplier, or one for each output");
    demand(rescale.shift >= 0 && rescale.shift <= 62, "the shift of a rescale lies in 0..62");
    demand(rescale.low <= rescale.high, "the range of a rescale is empty");
    OwnedRescale own{std::vector<int32_t>(size_t(outputs)), rescale.shift, {rescale.low, rescale.high}};
    for (int64_t i = 0; i < outputs; ++i) own.multiplier[size_t(i)] = rescale.multiplier[rescale.count == 1 ? 0 : i];
    return own;
}

Range signals(const Network& network) {
    return network.ops.empty() ? network.features.range : network.ops.back()->range;
}

// The zeros that come before a stream are among the inputs, whatever their range is.
Linear own(const fewbit_linear& linear, Range inputs, int64_t columns, int64_t rows) {
    demand(linear.matrix != nullptr, "an operation has no matrix");
    const auto& matrix = linear.matrix->matrix;
    demand(matrix->columns == columns, "the columns of the matrix are not the inputs of the operation");
    demand(rows == 0 || matrix->rows == rows, "the rows of the matrix are not the gates of the operation");
    demand(inputs.low >= -32768 && inputs.high <= 32767, "only the last operation gives more than 16 bits");
    inputs = {std::min(inputs.low, 0), std::max(inputs.high, 0)};
    Linear own_linear{matrix, {}, own(linear.rescale, matrix->rows), inputs};
    if (linear.bias != nullptr) own_linear.bias.assign(linear.bias, linear.bias + matrix->rows);
    for (int32_t bias : own_linear.bias)
        demand(bias >= -kMostBias && bias <= kMostBias, "a bias is of magnitude 2**30 at most");
    return own_linear;
}

Linear own_gates(const fewbit_linear& linear, Range inputs, int64_t columns, int64_t rows) {
    demand(linear.rescale.low >= kGates.low && linear.rescale.high <= kGates.high, "gates have 16 bits");
    return own(linear, inputs, columns, rows);
}

int32_t append(fewbit_network* network, std::unique_ptr<Op> op) {
    network->network.ops.push_back(std::move(op));
    return 0;
}

}  // namespace

void fewbit::keep_error(const char* message) noexcept {
    try {
        last_error = message;
    } catch (...) {
    }
}

extern "C" {

int32_t fewbit_abi(void) { return FEWBIT_ABI; }

const char* fewbit_error(void) { return last_error.c_str(); }

const char* fewbit_targets(void) {
    return target_names().c_str();
}

int32_t fewbit_set_tanh(const int32_t* table, int64_t count) {
    return guarded(-1, [&] {
        demand(table != nullptr && count == 1025, "the table of tanh has 1025 entries");
        std::memcpy(tanh_table, table, sizeof tanh_table);
        return 0;
    });
}

fewbit_matrix* fewbit_matrix_new(const int16_t* codes, int64_t rows, int64_t columns, int32_t low, int32_t high,
                                 int32_t wide, int64_t group, const int32_t* group_scale) {
    return guarded<fewbit_matrix*>(nullptr, [&] {
        return new fewbit_matrix{std::make_shared<const Matrix>(
            make_matrix(codes, rows, columns, low, high, wide != 0, group, group_scale))};
    });
}

void fewbit_matrix_free(fewbit_matrix* matrix) { delete matrix; }

int64_t fewbit_matrix_bytes(const fewbit_matrix* matrix) { return matrix->matrix->bytes(); }

int32_t fewbit_matrix_multiply(const fewbit_matrix* matrix, const char* target, const int32_t* x, int64_t frames,
                               int32_t low, int32_t high, int32_t threads, int32_t* y) {
    return guarded(-1, [&] {
        demand(low >= -32768 && high <= 32767 && low <= high, "activations have at most 16 bits");
        const Kernels& kernels = find_kernels(target);
        const Matrix& weights = *matrix->matrix;
        thread_local Activations activations;
        thread_local Buffer<int32_t> sums;
        const int64_t stride = weights.padded_rows();
        int32_t* padded = sums.get(frames * stride);
        activations.take(kernels, weights, x, frames, weights.columns, low, high);
        multiply(kernels, weights, activations, threads, padded, stride);
        for (int64_t t = 0; t < frames; ++t)
            std::memcpy(y + t * weights.rows, padded + t * stride, size_t(weights.rows) * 4);
        return 0;
    });
}

int32_t fewbit_matrix_apply(const fewbit_matrix* matrix, const char* target, const float* x, int64_t frames,
                            const float* scale, int32_t threads, float* y) {
    return guarded(-1, [&] {
        const Kernels& kernels = find_kernels(target);
        const Matrix& weights = *matrix->matrix;
        thread_local Activations activations;
        thread_local Buffer<int32_t> sums;
        const int64_t stride = weights.padded_rows();
        int32_t* padded = sums.get(frames * stride);
        demand(activations.take(kernels, weights, x, frames, weights.columns), "an activation is NaN or infinite");
        multiply(kernels, weights, activations, threads, padded, stride);
        for (int64_t t = 0; t < frames; ++t)
            kernels.dequantize(padded + t * stride, scale, activations.step(t), weights.rows, y + t * weights.rows);
        return 0;
    });
}

uint64_t fewbit_read(const char* target, const uint64_t* memory, int64_t words) {
    return guarded(uint64_t(0), [&] { return find_kernels(target).read(memory, words); });
}

fewbit_network* fewbit_network_new(const char* target, const float* gain, const float* offset, int64_t inputs,
                                   int32_t low, int32_t high) {
    return guarded<fewbit_network*>(nullptr, [&] {
        demand(inputs > 0 && low <= high && low >= -32768 && high <= 32767, "features become codes of 16 bits");
        auto network = std::make_unique<fewbit_network>(fewbit_network{Network(find_kernels(target))});
        network->network.features = {{gain, gain + inputs}, {offset, offset + inputs}, {low, high}};
        return network.release();
    });
}

void fewbit_network_free(fewbit_network* network) { delete network; }

fewbit_scorer* fewbit_network_scorer_new(const fewbit_network* network, float weight) {
    return guarded<fewbit_scorer*>(nullptr, [&] {
        const Network& model = network->network;
        demand(int64_t(model.features.gain.size()) == model.outputs() && model.outputs() >= 2,
               "a language model scores the classes that it takes");
        return new fewbit_scorer{std::make_unique<NetworkScorer>(model, weight)};
    });
}

void fewbit_scorer_free(fewbit_scorer* scorer) { delete scorer; }

int32_t fewbit_network_requantize(fewbit_network* network, fewbit_rescale rescale) {
    return guarded(-1, [&] {
        const int64_t width = network->network.outputs();
        return append(network, make_requantize(width, own(rescale, width)));
    });
}

int32_t fewbit_network_conv(fewbit_network* network, fewbit_linear linear, int64_t kernel, int64_t stride) {
    return guarded(-1, [&] {
        demand(kernel > 0 && kernel <= kMostUnits, "the kernel of a convolution is a count of frames");
        demand(stride > 0 && stride <= kernel, "a stride lies in 1..kernel");
        const int64_t columns = network->network.outputs() * kernel;
        return append(network, make_conv(own(linear, signals(network->network), columns, 0), kernel, stride));
    });
}

int32_t fewbit_network_sru(fewbit_network* network, fewbit_linear linear, int64_t hidden, int32_t cell_multiplier,
                           int32_t skip_multiplier, int32_t shift, int32_t low, int32_t high) {
    return guarded(-1, [&] {
        const int64_t inputs = network->network.outputs();
        Linear gates = own_gates(linear, signals(network->network), inputs, 0);
        const int64_t rows = gates.matrix->rows;
        demand(hidden > 0 && hidden <= kMostUnits && (rows == 4 * hidden || (rows == 3 * hidden && inputs == hidden)),
               "an SRU has three gates, and a fourth where inputs and hidden differ");
        demand(shift >= 0 && shift <= 62 && low <= high, "the output of the SRU is out of range");
        return append(network, make_sru(std::move(gates), hidden,
                                        {cell_multiplier, skip_multiplier, shift, {low, high}}));
    });
}

int32_t fewbit_network_qrnn(fewbit_network* network, fewbit_linear linear, int64_t hidden, int64_t kernel,
                            fewbit_rescale output) {
    return guarded(-1, [&] {
        demand(hidden > 0 && hidden <= kMostUnits && kernel > 0 && kernel <= kMostUnits,
               "a QRNN has units and a kernel");
        const int64_t columns = network->network.outputs() * kernel;
        return append(network, make_qrnn(own_gates(linear, signals(network->network), columns, 3 * hidden), hidden,
                                         kernel, own(output, hidden)));
    });
}

int32_t fewbit_network_lstm(fewbit_network* network, fewbit_linear linear, fewbit_linear back, int64_t hidden,
                            fewbit_rescale output) {
    return guarded(-1, [&] {
        demand(hidden > 0 && hidden <= kMostUnits, "an LSTM has units");
        const Range inner{output.low, output.high};
        Linear input = own_gates(linear, signals(network->network), network->network.outputs(), 4 * hidden);
        return append(network, make_lstm(std::move(input), own_gates(back, inner, hidden, 4 * hidden), hidden,
                                         own(output, hidden)));
    });
}

int32_t fewbit_network_gru(fewbit_network* network, fewbit_linear linear, fewbit_linear back, int64_t hidden,
                           const int32_t* bias_hidden, fewbit_rescale output) {
    return guarded(-1, [&] {
        demand(hidden > 0 && hidden <= kMostUnits && bias_hidden != nullptr, "a GRU has units and a hidden bias");
        const Range inner{output.low, output.high};
        Linear input = own_gates(linear, signals(network->network), network->network.outputs(), 3 * hidden);
        Linear hidden_half = own_gates(back, inner, hidden, 3 * hidden);
        std::vector<int32_t> bias(bias_hidden, bias_hidden + hidden);
        // It is added to 16 bits and the sum saturated to 16 bits: what lies beyond 17 bits counts alike.
        for (int32_t& value : bias) value = std::clamp(value, 2 * kGates.low, 2 * kGates.high + 1);
        return append(network, make_gru(std::move(input), std::move(hidden_half), hidden, std::move(bias),
                                        own(output, hidden)));
    });
}

fewbit_network* fewbit_network_part(const fewbit_network* network, int64_t inputs, int32_t low, int32_t high) {
    return guarded<fewbit_network*>(nullptr, [&] {
        demand(inputs > 0 && inputs <= 2 * kMostUnits && low <= high, "a part has inputs and their range");
        auto part = std::make_unique<fewbit_network>(fewbit_network{Network(network->network.kernels)});
        const std::vector<float> none(size_t(inputs), 0.0f);
        part->network.features = {none, none, {low, high}};
        return part.release();
    });
}

int32_t fewbit_network_hierarchy(fewbit_network* network, const int32_t* boundaries, int64_t count, int32_t direct,
                                 fewbit_network* letters, fewbit_network* words, fewbit_network* spelling) {
    return guarded(-1, [&] {
        const int64_t inputs = network->network.outputs();
        demand(boundaries != nullptr && count > 0, "a hierarchy has columns that end words");
        Hierarchy parts{{boundaries, boundaries + count}, direct != 0, {}, {}, {}};
        for (int32_t column : parts.boundaries) demand(column >= 0 && column < inputs, "a boundary is a column");
        const auto takes = [](const fewbit_network* part) { return int64_t(part->network.features.gain.size()); };
        const int64_t spelt = letters->network.outputs(), context = words->network.outputs();
        demand(takes(letters) == inputs && takes(words) == spelt + inputs &&
                   takes(spelling) == (direct ? inputs : spelt) + context,
               "the parts of a hierarchy do not fit together");
        for (const fewbit_network* part : {letters, words, spelling}) {
            demand(!part->network.ops.empty(), "a part of a hierarchy has no operation");
            for (const auto& op : part->network.ops)
                demand(op->keeps_count(), "a part of a hierarchy gives a frame for each that it takes");
        }
        const Range frame = signals(network->network), letter = signals(letters->network), word = signals(words->network);
        const auto reads = [](const fewbit_network* part, Range a, Range b) {
            const Range range = part->network.features.range;
            return range.low <= std::min(a.low, b.low) && range.high >= std::max(a.high, b.high);
        };
        demand(reads(letters, frame, frame) && reads(words, letter, frame) &&
                   reads(spelling, direct ? frame : letter, word),
               "a part of a hierarchy reads what it was not told of");
        parts.letters = std::move(letters->network.ops);
        parts.words = std::move(words->network.ops);
        parts.spelling = std::move(spelling->network.ops);
        return append(network, make_hierarchy(std::move(parts), inputs));
    });
}

const char* fewbit_network_target(const fewbit_network* network) { return network->network.kernels.name; }

int64_t fewbit_network_bytes(const fewbit_network* network) { return network->network.bytes(); }

int64_t fewbit_network_state_size(const fewbit_network* network) { return network->network.state_size(); }

int32_t fewbit_network_start(const fewbit_network* network, int32_t* state) {
    network->network.start(state);
    return 0;
}

int64_t fewbit_network_step(const fewbit_network* network, const float* x, int64_t frames, const int32_t* before,
                            int32_t* after, int64_t* y, int32_t threads, int64_t block) {
    return guarded(int64_t(-1), [&]() -> int64_t {
        demand(frames >= 0 && threads >= 1 && block >= 1, "frames, threads and block are counts");
        if (after != before) std::memcpy(after, before, size_t(network->network.state_size()) * sizeof(int32_t));
        const int64_t written = network->network.step(x, frames, after, y, threads, block);
        return written < 0 ? -2 : written;
    });
}

}  // extern "C"
