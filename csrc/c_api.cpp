#include "c_api.h"

#include <cstring>
#include <string>

#include "fields.h"
#include "guard.h"
#include "network_handle.h"
#include "network_scorer.h"
#include "scorer_handle.h"

using namespace fewbit;

namespace {

thread_local std::string last_error;

struct NamedTable {
    const char* name;
    int32_t* points;
    int64_t count;
};
const NamedTable kTables[] = {
    {"tanh", tanh_table, kTanhPoints},
    {"fine", fine_table, kTanhPoints},
    {"exp", exp_table, kExpPoints},
    {"sine", sine_table, kSinePoints},
};

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

int32_t fewbit_set_table(const char* name, const int32_t* points, int64_t count) {
    return guarded(-1, [&] {
        demand(name != nullptr && points != nullptr, "a table has a name and points");
        for (const NamedTable& table : kTables) {
            if (std::strcmp(table.name, name) != 0) continue;
            demand(count == table.count, "a table of tanh has 1025 points, as has the fine one, of exp 1024 and of sine 4097");
            for (int64_t i = 0; i < count; ++i)
                demand(points[i] >= kInt16.low && points[i] <= kInt16.high, "a point of a table has 16 bits");
            std::memcpy(table.points, points, size_t(count) * sizeof(int32_t));
            fine_table[kTanhPoints] = fine_table[kTanhPoints - 1];
            find_exp_factors();
            return 0;
        }
        throw std::invalid_argument("there is no table '" + std::string(name) + "'");
    });
}

fewbit_matrix* fewbit_matrix_new(const int16_t* codes, int64_t rows, int64_t columns, int32_t low, int32_t high,
                                 int32_t storing, int64_t group, const int32_t* group_scale) {
    return guarded<fewbit_matrix*>(nullptr, [&] {
        demand(storing >= kNarrow && storing <= kPairs, "codes are stored in the ways 0, 1 and 2");
        return new fewbit_matrix{std::make_shared<const Matrix>(
            make_matrix(codes, rows, columns, low, high, Storing(storing), group, group_scale))};
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
        Workspace& scratch = workspace();
        const int64_t stride = weights.padded_rows(), columns = weights.columns, count = std::max<int64_t>(frames, 0);
        int32_t* padded = scratch.sums.get(count * stride);
        const Storage storage = storage_of({low, high});
        uint8_t* packed = scratch.packed.get(count * columns * storage.bytes + kColumnUnit);
        kernels.pack(x, count * columns, storage, packed);
        scratch.activations.take(kernels, weights,
                              byte_rows(kernels, packed, storage, count, columns, columns, scratch.split));
        multiply(kernels, weights, scratch.activations, threads, padded, stride);
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
        Activations& activations = workspace().activations;
        const int64_t stride = weights.padded_rows();
        int32_t* padded = workspace().sums.get(frames * stride);
        demand(activations.take(kernels, weights, x, frames, weights.columns), "an activation is NaN or infinite");
        multiply(kernels, weights, activations, threads, padded, stride);
        for (int64_t t = 0; t < frames; ++t)
            kernels.dequantize(padded + t * stride, scale, activations.step(t), weights.rows, y + t * weights.rows);
        return 0;
    });
}

int32_t fewbit_read(const char* target, const void* memory, int64_t bytes, int64_t repeats) {
    return guarded(-1, [&] {
        const Kernels& kernels = find_kernels(target);
        const int64_t before = -int64_t(reinterpret_cast<uintptr_t>(memory)) & (kLineBytes - 1);
        const auto* lines = static_cast<const uint8_t*>(memory) + before;
        for (int64_t i = 0; i < repeats; ++i) kernels.read(lines, (bytes - before) / kLineBytes);
        return 0;
    });
}

int32_t fewbit_matrix_part(const fewbit_matrix* matrix, const char* target, int32_t part, int64_t frames,
                           int64_t repeats, int32_t threads) {
    return guarded(-1, [&] {
        demand(part >= int32_t(Part::read) && part <= int32_t(Part::multiply), "there are parts 0, 1 and 2");
        const Kernels& kernels = find_kernels(target);
        for (int64_t i = 0; i < repeats; ++i) do_part(kernels, *matrix->matrix, Part(part), frames, threads);
        return 0;
    });
}

fewbit_network* fewbit_network_new(const char* target, int64_t features) {
    return guarded<fewbit_network*>(nullptr, [&] {
        demand(features > 0 && features <= 2 * kMaxFrameSize, "a network reads 1 to 2**25 features");
        return new fewbit_network(find_kernels(target), features);
    });
}

fewbit_network* fewbit_network_part(const fewbit_network* network, int64_t inputs, int32_t low, int32_t high) {
    return guarded<fewbit_network*>(nullptr, [&] {
        demand(network != nullptr, "a part belongs to a network");
        demand(inputs > 0 && inputs <= 2 * kMaxFrameSize && low <= high, "a part has inputs and their range");
        auto* part = new fewbit_network(network->network.kernels, Value{inputs, {low, high}});
        part->network.skipping = network->network.skipping;
        return part;
    });
}
int32_t fewbit_network_skip(fewbit_network* network, int32_t skipping) {
    return guarded<int32_t>(-1, [&] {
        demand(network != nullptr && skipping >= 0 && skipping <= 3, "a network skips zeros in one of the ways 0 to 3");
        network->network.skipping = fewbit::Skipping(skipping);
        return 0;
    });
}

void fewbit_network_free(fewbit_network* network) { delete network; }

int32_t fewbit_network_add(fewbit_network* network, const char* kind, const int64_t* inputs, int64_t input_count,
                           fewbit_fields fields) {
    return guarded(-1, [&] {
        demand(network != nullptr, "an operation belongs to a network");
        demand(input_count >= 0 && input_count <= kMaxInputs && (input_count == 0 || inputs != nullptr),
               "an operation reads up to 4096 values");
        network->network.add(kind, std::vector<int64_t>(inputs, inputs + input_count), fields);
        return 0;
    });
}

fewbit_scorer* fewbit_network_scorer_new(const fewbit_network* network, float weight) {
    return guarded<fewbit_scorer*>(nullptr, [&] {
        const Network& model = network->network;
        demand(model.keeps_count() && model.features == model.outputs() && model.outputs() >= 2,
               "a language model scores the classes that it takes");
        return new fewbit_scorer{std::make_unique<NetworkScorer>(model, weight)};
    });
}

void fewbit_scorer_free(fewbit_scorer* scorer) { delete scorer; }

const char* fewbit_network_target(const fewbit_network* network) { return network->network.kernels.name; }

int64_t fewbit_network_bytes(const fewbit_network* network) { return network->network.bytes(); }

int64_t fewbit_network_value_bytes(const fewbit_network* network) {
    return guarded(int64_t(-1), [&] { return network->network.value_bytes(); });
}

int64_t fewbit_network_state_size(const fewbit_network* network) { return network->network.state_size(); }

int32_t fewbit_network_start(const fewbit_network* network, int32_t* state) {
    network->network.start(state);
    return 0;
}

int64_t fewbit_network_step(const fewbit_network* network, const float* x, int64_t frames, const int32_t* before,
                            int32_t* after, int64_t* y, int64_t most, int32_t threads, int64_t block, int32_t last) {
    return guarded(int64_t(-1), [&] {
        demand(frames >= 0 && most >= 0 && threads >= 1 && block >= 1, "frames, threads and block are counts");
        if (after != before) std::memcpy(after, before, size_t(network->network.state_size()) * sizeof(int32_t));
        return network->network.step(x, frames, after, y, most, threads, block, last != 0);
    });
}

}  // extern "C"
