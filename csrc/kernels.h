// What an instruction set must provide. One file (target_*.cpp) for each; all give the same integers.
#pragma once

#include <string>

#include "matrix.h"

namespace fewbit {

// y[t][r] += sum over the columns of a segment of u(r, k) * x[t][k], modulo 2**32, for strips first..last.
struct Product {
    const Matrix* matrix;
    const Segment* segment;
    int64_t first, last;     // strips
    const int8_t* x;         // (frames, x_stride), x_stride a multiple of 64; the segment's first column
    int64_t x_stride;
    int64_t frames;
    int32_t* y;              // (frames, y_stride)
    int64_t y_stride;
};

// x -> saturate((x * multiplier + half) >> shift, low, high), half = 2**(shift - 1) or 0.
struct Rescale {
    const int32_t* multiplier;  // (n,)
    int shift;
    int32_t low, high;
};

// The recurrences over a block of frames. Gates are Q3.12 in blocks of `hidden`, see docs/internals/numerics.md.
struct SruScan {
    int64_t frames, hidden;
    const int32_t* gates;  // (frames, gate_stride): candidate, forget, reset
    int64_t gate_stride;
    const int32_t* skip;  // (frames, skip_stride)
    int64_t skip_stride;
    int32_t* cell;  // (hidden,), state
    int32_t* y;     // (frames, hidden)
    int32_t cell_multiplier, skip_multiplier;
    int shift;
    int32_t low, high;
};

struct QrnnScan {
    int64_t frames, hidden;
    const int32_t* gates;  // candidate, forget, output
    int64_t gate_stride;
    int32_t* cell;
    int32_t* y;
    Rescale output;
};

struct LstmStep {
    int64_t hidden;
    const int32_t* gates;  // rescaled input half: input, forget, candidate, output
    const int32_t* back;   // rescaled hidden half
    int32_t* cell;
    int32_t* y;  // (hidden,)
    Rescale output;
};

struct GruStep {
    int64_t hidden;
    const int32_t* gates;  // rescaled input half: reset, update, candidate
    const int32_t* back;   // rescaled hidden half
    const int32_t* bias_hidden;
    int32_t* slow;
    int32_t* y;
    Rescale output;
};

// All functions of a target, in the order of product.inl and elementwise.inl.
struct Kernels {
    const char* name;
    bool (*runs_here)();
    void (*product)(const Product&);
    // y = rescale(x + bias); bias may be null.
    void (*rescale)(const int32_t* x, const int32_t* bias, const Rescale&, int64_t n, int32_t* y);
    void (*sru)(const SruScan&);
    void (*qrnn)(const QrnnScan&);
    void (*lstm)(const LstmStep&);
    void (*gru)(const GruStep&);
    // y = row_sums * by + constant, modulo 2**32: where a product starts.
    void (*start)(const int32_t* row_sums, int32_t by, int32_t constant, int64_t n, int32_t* y);
    // y = clamp(floor(x * gain + offset + 1/2), low, high) in double; false if an x is NaN or infinite.
    bool (*features)(const float* x, const float* gain, const float* offset, int32_t low, int32_t high, int64_t n,
                     int32_t* y);
    // Codes to bytes, x - offset; returns the sum of the bytes.
    int32_t (*narrow)(const int32_t* x, int64_t n, int32_t offset, int8_t* y);
    // Largest magnitude of x (any NaN is larger than all).
    float (*largest)(const float* x, int64_t n);
    // x / step to bytes, halves to even; returns the sum of the bytes.
    int32_t (*quantize)(const float* x, int64_t n, float inverse_step, int8_t* y);
    // y = x * scale of the row * factor, as floats.
    void (*dequantize)(const int32_t* x, const float* scale, float factor, int64_t n, float* y);
    // All words of a memory, exclusive or: how fast it can be read at all.
    uint64_t (*read)(const uint64_t* x, int64_t n);
};

// All that were compiled, best first; the last, "scalar", runs everywhere.
const std::vector<const Kernels*>& all_kernels();

// Names of those that run here, best first, apart by spaces.
const std::string& target_names();

// The best that runs here, or the one called `name`. Throws std::invalid_argument if there is none.
const Kernels& find_kernels(const char* name);

// TANH[i] = min(round(tanh(i / 256) * 32768), 32767), i = 0..1024; given once by the caller (see c_api.h).
extern int32_t tanh_table[1025];

}  // namespace fewbit
