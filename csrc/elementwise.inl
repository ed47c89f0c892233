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

// Which functions a cell uses: Coarse rounds its input to the points of the table, Fine interpolates between them.
struct Coarse {
    static Table table() { return tanh_table; }
    static int32_t tanh(Table table, int32_t x) { return tanh15(table, x); }
    static int32_t sigmoid(Table table, int32_t x) { return sigmoid15(table, x); }
};
struct Fine {
    static Table table() { return fine_table; }
    static int32_t tanh(Table table, int32_t x) { return between(table, x, 5); }
    static int32_t sigmoid(Table table, int32_t x) { return (kQ15 + between(table, x, 6)) >> 1; }

private:
    static int32_t between(Table table, int32_t x, int bits) {
        const int32_t size = magnitude(x), place = size >> bits, rest = size & ((1 << bits) - 1);
        const int32_t sum = table[place] * ((1 << bits) - rest) + table[place + 1] * rest;
        const int32_t value = (sum + (1 << (bits - 1))) >> bits;
        return x < 0 ? -value : value;
    }
};

inline int32_t product15(int32_t x, int32_t y) { return (x * y + (1 << 14)) >> 15; }
inline int32_t mix(int32_t gate, int32_t kept, int32_t fresh) {
    return (gate * kept + (kQ15 - gate) * fresh + (1 << 14)) >> 15;
}

inline int64_t half_of(int shift) { return shift > 0 ? int64_t(1) << (shift - 1) : 0; }
inline int32_t rescaled(int64_t x, int32_t multiplier, int shift, int64_t half, int32_t low, int32_t high) {
    const int64_t scaled = (x * multiplier + half) >> shift;
    return int32_t(scaled < low ? low : scaled > high ? high : scaled);
}

// A sum that may pass 32 bits where a caller broke the rules.
inline int32_t wrapped(int32_t x, int32_t y) { return int32_t(uint32_t(x) + uint32_t(y)); }

#ifndef FEWBIT_OWN_RESCALE
void rescale(const int32_t* x, const int32_t* bias, const Rescale& to, int64_t n, int32_t* __restrict y) {
    const int64_t half = half_of(to.shift);
    const int shift = to.shift;
    const int32_t low = to.low, high = to.high;
    const int32_t* multiplier = to.multiplier;
    if (bias != nullptr)
        for (int64_t i = 0; i < n; ++i) y[i] = rescaled(wrapped(x[i], bias[i]), multiplier[i], shift, half, low, high);
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

// A cell of 16 bits, in Q3.12, and what its tanh is taken of.
inline int32_t next_cell(Coarse, int32_t forget, int32_t cell, int32_t in, int32_t candidate) {
    // (8 f c + i g + 2**17) >> 18 in 32 bits: the three bits that i g loses first cannot reach the result.
    return saturate16((forget * cell + ((in * candidate + (1 << 17)) >> 3)) >> 15);
}
inline int32_t seen_cell(Coarse, int32_t cell) { return cell; }
// A cell of 32 bits, of which 16 are fractional.
inline int32_t next_cell(Fine, int32_t forget, int32_t cell, int32_t in, int32_t candidate) {
    const int64_t next = (int64_t(forget) * cell + 2 * int64_t(in) * candidate + (1 << 14)) >> 15;
    return int32_t(next < INT32_MIN ? INT32_MIN : next > INT32_MAX ? INT32_MAX : next);
}
inline int32_t seen_cell(Fine, int32_t cell) { return saturate16(int32_t((int64_t(cell) + 8) >> 4)); }

template <class Functions>
void lstm_frame(const LstmStep& s, const int32_t* __restrict a, const int32_t* __restrict b,
                const int32_t* __restrict multiplier, int32_t* __restrict cell, int32_t* __restrict y) {
    const Table table = Functions::table();
    const int64_t n = s.hidden, half = half_of(s.output.shift);
    const int32_t low = s.output.low, high = s.output.high;
    const int shift = s.output.shift;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const int32_t in = Functions::sigmoid(table, saturate16(a[i] + b[i]));
        const int32_t forget = Functions::sigmoid(table, saturate16(a[n + i] + b[n + i]));
        const int32_t candidate = Functions::tanh(table, saturate16(a[2 * n + i] + b[2 * n + i]));
        const int32_t out = Functions::sigmoid(table, saturate16(a[3 * n + i] + b[3 * n + i]));
        cell[i] = next_cell(Functions(), forget, cell[i], in, candidate);
        const int32_t inner = product15(out, Functions::tanh(table, seen_cell(Functions(), cell[i])));
        y[i] = rescaled(inner, multiplier[i], shift, half, low, high);
    }
}

void lstm(const LstmStep& s) {
    if (s.fine)
        lstm_frame<Fine>(s, s.gates, s.back, s.output.multiplier, s.cell, s.y);
    else
        lstm_frame<Coarse>(s, s.gates, s.back, s.output.multiplier, s.cell, s.y);
}

// The hidden half of a candidate, times the reset gate.
inline int32_t inner_half(Coarse, int32_t reset, int32_t sum) { return product15(reset, saturate16(sum)); }
inline int32_t inner_half(Fine, int32_t reset, int32_t sum) {
    return int32_t((int64_t(reset) * saturate(sum, -(1 << 19), (1 << 19) - 1) + (1 << 14)) >> 15);
}

template <class Functions>
void gru_frame(const GruStep& s, const int32_t* __restrict a, const int32_t* __restrict b,
               const int32_t* __restrict multiplier, const int32_t* __restrict bias, int32_t* __restrict slow,
               int32_t* __restrict y) {
    const Table table = Functions::table();
    const int64_t n = s.hidden, half = half_of(s.output.shift);
    const int32_t low = s.output.low, high = s.output.high;
    const int shift = s.output.shift;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const int32_t reset = Functions::sigmoid(table, saturate16(a[i] + b[i]));
        const int32_t update = Functions::sigmoid(table, saturate16(a[n + i] + b[n + i]));
        const int32_t inner = inner_half(Functions(), reset, b[2 * n + i] + bias[i]);
        const int32_t candidate = Functions::tanh(table, saturate16(a[2 * n + i] + inner));
        slow[i] = mix(update, slow[i], candidate);
        y[i] = rescaled(slow[i], multiplier[i], shift, half, low, high);
    }
}

void gru(const GruStep& s) {
    if (s.fine)
        gru_frame<Fine>(s, s.gates, s.back, s.output.multiplier, s.bias_hidden, s.slow, s.y);
    else
        gru_frame<Coarse>(s, s.gates, s.back, s.output.multiplier, s.bias_hidden, s.slow, s.y);
}

// Unsigned: sums may wrap on their way.
void start(const Start& job) {
    const int32_t* __restrict row_sums = job.row_sums;
    const auto by = uint32_t(job.by);
    for (int64_t t = 0; t < job.frames; ++t) {
        int32_t* __restrict y = job.y + t * job.y_stride;
        const uint32_t past = uint32_t(job.offset) * uint32_t(job.sums[t]);
        if (job.add)
            for (int64_t i = 0; i < job.rows; ++i) y[i] = int32_t(uint32_t(y[i]) * 256u + uint32_t(row_sums[i]) * by - past);
        else
            for (int64_t i = 0; i < job.rows; ++i) y[i] = int32_t(uint32_t(row_sums[i]) * by - past);
    }
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
