// What happens between products, as plain loops that the compiler turns into vectors of each instruction set.
// The equations stand in docs/internals/numerics.md. Included in the unnamed namespace of each target file.

constexpr int32_t kQ15 = 1 << 15;

inline int32_t saturate(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }
inline int32_t saturate16(int32_t x) { return saturate(x, -32768, 32767); }
inline int32_t magnitude(int32_t x) { return x < 0 ? -x : x; }

using Table = const int32_t*;

inline int32_t tabled(Table table, int32_t x, int32_t half, int bits) {
    const int32_t place = (magnitude(x) + half) >> bits;
    const int32_t value = table[place > 1024 ? 1024 : place];
    return x < 0 ? -value : value;
}
inline int32_t tanh15(Table table, int32_t x) { return tabled(table, x, 8, 4); }
inline int32_t sigmoid15(Table table, int32_t x) { return (kQ15 + tabled(table, x, 16, 5)) >> 1; }
inline int32_t product15(int32_t x, int32_t y) { return (x * y + (1 << 14)) >> 15; }
inline int32_t mix(int32_t gate, int32_t kept, int32_t fresh) {
    return (gate * kept + (kQ15 - gate) * fresh + (1 << 14)) >> 15;
}

inline int64_t half_of(int shift) { return shift > 0 ? int64_t(1) << (shift - 1) : 0; }
inline int32_t rescaled(int64_t x, int32_t multiplier, int shift, int64_t half, int32_t low, int32_t high) {
    const int64_t scaled = (x * multiplier + half) >> shift;
    return int32_t(scaled < low ? low : scaled > high ? high : scaled);
}

#ifndef FEWBIT_OWN_RESCALE
void rescale(const int32_t* x, const int32_t* bias, const Rescale& to, int64_t n, int32_t* __restrict y) {
    const int64_t half = half_of(to.shift);
    const int shift = to.shift;
    const int32_t low = to.low, high = to.high;
    const int32_t* multiplier = to.multiplier;
    if (bias != nullptr)
        for (int64_t i = 0; i < n; ++i) y[i] = rescaled(x[i] + bias[i], multiplier[i], shift, half, low, high);
    else
        for (int64_t i = 0; i < n; ++i) y[i] = rescaled(x[i], multiplier[i], shift, half, low, high);
}
#endif

// One frame of each recurrence; all memory apart from each other, the table too, which the compiler must be told (ivdep).
void sru_frame(const SruScan& s, const int32_t* __restrict a, const int32_t* __restrict skip, int32_t* __restrict cell,
               int32_t* __restrict y) {
    const Table table = tanh_table;
    const int64_t n = s.hidden, half = half_of(s.shift);
    const int32_t by_cell = s.cell_multiplier, by_skip = s.skip_multiplier;
    const int32_t low = s.low, high = s.high;
    const int shift = s.shift;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        cell[i] = saturate16(mix(sigmoid15(table, a[n + i]), cell[i], a[i]));
        const int32_t r = sigmoid15(table, a[2 * n + i]);
        const int32_t inner = product15(r, tanh15(table, cell[i])), past = (kQ15 - r) * skip[i];
        const int64_t sum = (int64_t(inner) * by_cell + int64_t(past) * by_skip + half) >> shift;
        y[i] = int32_t(sum < low ? low : sum > high ? high : sum);
    }
}

void sru(const SruScan& s) {
    for (int64_t t = 0; t < s.frames; ++t)
        sru_frame(s, s.gates + t * s.gate_stride, s.skip + t * s.skip_stride, s.cell, s.y + t * s.hidden);
}

void qrnn_frame(const QrnnScan& s, const int32_t* __restrict a, const int32_t* __restrict multiplier,
                int32_t* __restrict cell, int32_t* __restrict y) {
    const Table table = tanh_table;
    const int64_t n = s.hidden, half = half_of(s.output.shift);
    const int32_t low = s.output.low, high = s.output.high;
    const int shift = s.output.shift;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        cell[i] = mix(sigmoid15(table, a[n + i]), cell[i], tanh15(table, a[i]));
        y[i] = rescaled(product15(sigmoid15(table, a[2 * n + i]), cell[i]), multiplier[i], shift, half, low, high);
    }
}

void qrnn(const QrnnScan& s) {
    for (int64_t t = 0; t < s.frames; ++t)
        qrnn_frame(s, s.gates + t * s.gate_stride, s.output.multiplier, s.cell, s.y + t * s.hidden);
}

void lstm_frame(const LstmStep& s, const int32_t* __restrict a, const int32_t* __restrict b,
                const int32_t* __restrict multiplier, int32_t* __restrict cell, int32_t* __restrict y) {
    const Table table = tanh_table;
    const int64_t n = s.hidden, half = half_of(s.output.shift);
    const int32_t low = s.output.low, high = s.output.high;
    const int shift = s.output.shift;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const int32_t in = sigmoid15(table, saturate16(a[i] + b[i]));
        const int32_t forget = sigmoid15(table, saturate16(a[n + i] + b[n + i]));
        const int32_t candidate = tanh15(table, saturate16(a[2 * n + i] + b[2 * n + i]));
        const int32_t out = sigmoid15(table, saturate16(a[3 * n + i] + b[3 * n + i]));
        // (8 f c + i g + 2**17) >> 18 in 32 bits: the three bits that i g loses first cannot reach the result.
        cell[i] = saturate16((forget * cell[i] + ((in * candidate + (1 << 17)) >> 3)) >> 15);
        y[i] = rescaled(product15(out, tanh15(table, cell[i])), multiplier[i], shift, half, low, high);
    }
}

void lstm(const LstmStep& s) { lstm_frame(s, s.gates, s.back, s.output.multiplier, s.cell, s.y); }

void gru_frame(const GruStep& s, const int32_t* __restrict a, const int32_t* __restrict b,
               const int32_t* __restrict multiplier, const int32_t* __restrict bias, int32_t* __restrict slow,
               int32_t* __restrict y) {
    const Table table = tanh_table;
    const int64_t n = s.hidden, half = half_of(s.output.shift);
    const int32_t low = s.output.low, high = s.output.high;
    const int shift = s.output.shift;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const int32_t reset = sigmoid15(table, saturate16(a[i] + b[i]));
        const int32_t update = sigmoid15(table, saturate16(a[n + i] + b[n + i]));
        const int32_t inner = saturate16(b[2 * n + i] + bias[i]);
        const int32_t candidate = tanh15(table, saturate16(a[2 * n + i] + product15(reset, inner)));
        slow[i] = mix(update, slow[i], candidate);
        y[i] = rescaled(slow[i], multiplier[i], shift, half, low, high);
    }
}

void gru(const GruStep& s) {
    gru_frame(s, s.gates, s.back, s.output.multiplier, s.bias_hidden, s.slow, s.y);
}

void start(const int32_t* row_sums, int32_t by, int32_t constant, int64_t n, int32_t* __restrict y) {
    // Unsigned: sums may wrap on their way.
    for (int64_t i = 0; i < n; ++i) y[i] = int32_t(uint32_t(row_sums[i]) * uint32_t(by) + uint32_t(constant));
}

bool features(const float* x, const float* gain, const float* offset, int32_t low, int32_t high, int64_t n,
              int32_t* __restrict y) {
    int32_t strange = 0;
    for (int64_t i = 0; i < n; ++i) {
        const double value = __builtin_floor(double(x[i]) * double(gain[i]) + double(offset[i]) + 0.5);
        const double limited = value < low ? low : value > high ? high : value;
        strange |= !(x[i] - x[i] == 0.0f);  // NaN or infinite
        y[i] = int32_t(limited);
    }
    return strange == 0;
}

int32_t narrow(const int32_t* x, int64_t n, int32_t offset, int8_t* __restrict y) {
    int32_t sum = 0;
    for (int64_t i = 0; i < n; ++i) {
        const int32_t value = x[i] - offset;
        y[i] = int8_t(value);
        sum += value;
    }
    return sum;
}

float largest(const float* x, int64_t n) {
    int32_t most = 0;  // bits of magnitudes are in the order of the magnitudes
    for (int64_t i = 0; i < n; ++i) {
        int32_t bits;
        __builtin_memcpy(&bits, x + i, 4);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    float value;
    __builtin_memcpy(&value, &most, 4);
    return value;
}

int32_t quantize(const float* x, int64_t n, float inverse_step, int8_t* __restrict y) {
    int32_t sum = 0;
    for (int64_t i = 0; i < n; ++i) {
        // Adding and taking away 1.5 * 2**23 rounds to an integer, halves to even.
        const float rounded = x[i] * inverse_step + 12582912.0f;
        int32_t bits;
        __builtin_memcpy(&bits, &rounded, 4);
        const int32_t code = bits - 0x4b400000;
        y[i] = int8_t(code);
        sum += code;
    }
    return sum;
}

void dequantize(const int32_t* x, const float* scale, float factor, int64_t n, float* __restrict y) {
    for (int64_t i = 0; i < n; ++i) y[i] = float(x[i]) * (scale[i] * factor);
}

uint64_t read(const uint64_t* x, int64_t n) {
    uint64_t all = 0;
    for (int64_t i = 0; i < n; ++i) all ^= x[i];
    return all;
}

#define FEWBIT_KERNELS(name, product)                                                                              \
    {name, runs_here, product, rescale, sru, qrnn, lstm, gru, start, features, narrow, largest, quantize, dequantize, \
     read}
