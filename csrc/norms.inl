// Norms, softmax and its logarithm, see fewbit.program.ops.norms and numerics.normalise. Included in the unnamed namespace of each
// target file.

constexpr int kNormBits = 23;  // fractional bits of a normalised number
constexpr int kExpBits = 10;   // of an exponent of 2
constexpr int kLogBits = 16;   // of a logarithm
constexpr int64_t kMaxExponent = 24 << kExpBits;

inline int bit_length(uint64_t x) { return x == 0 ? 0 : 64 - __builtin_clzll(x); }

// The integer part of the root of x below 2**62.
inline int64_t square_root(int64_t x) {
    auto root = int64_t(__builtin_sqrt(double(x)));
    while (root * root > x) --root;
    while ((root + 1) * (root + 1) <= x) ++root;
    return root;
}

// Numbers of 32 bits, or differences of 64, to 16 bits: shifted by `down`. Returns the sum of their squares.
template <class Number>
inline int64_t scaled_down(const Number& number, int64_t n, int down, int32_t* __restrict d) {
    const int64_t half = half_of(down);
    int64_t squares = 0;
    for (int64_t i = 0; i < n; ++i) {
        d[i] = int32_t((number(i) + half) >> down);
        squares += int64_t(d[i]) * d[i];
    }
    return squares;
}

void norm(const int32_t* x, const Normalise& job, int32_t* __restrict d, int32_t* __restrict y) {
    const int64_t n = job.length;
    int64_t sum = 0;
    int32_t least = x[0], most = x[0];
    for (int64_t i = 0; i < n; ++i) {
        sum += x[i];
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    // The largest magnitude of d lies at one end.
    const int64_t lowest = job.centre ? n * least - sum : least, highest = job.centre ? n * most - sum : most;
    const int64_t top = -lowest > highest ? -lowest : highest;
    const int bits = bit_length(uint64_t(top)), down = bits > 15 ? bits - 15 : 0;
    const int64_t squares =
        job.centre ? scaled_down([=](int64_t i) { return n * int64_t(x[i]) - sum; }, n, down, d)
                   : scaled_down([=](int64_t i) { return int64_t(x[i]); }, n, down, d);
    const int64_t v = squares + (job.eps >> (2 * down < 62 ? 2 * down : 62));
    const int up = (62 - bit_length(uint64_t(v > 1 ? v : 1))) >> 1;
    const int64_t root = square_root(v << (2 * up));
    const int64_t inverse = v > 0 ? (int64_t(1) << 61) / (root > 1 ? root : 1) : 0;
    const int to = 61 - kNormBits - up;
    const int64_t half = half_of(to), half_shift = half_of(job.shift);
    const int shift = job.shift;
    const int32_t low = job.low, high = job.high;
    const int32_t *multiplier = job.multiplier, *bias = job.bias;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t w = (d[i] * inverse + half) >> to;
        y[i] = with_bias(w * multiplier[i], shift, half_shift, bias[i], low, high);
    }
}

// 2**-u in Q15, u the distance in the unit of the exponent.
inline int32_t exp_weight(int64_t distance, int64_t multiplier, int shift, int64_t half, const int32_t* table) {
    int64_t u = (distance * multiplier + half) >> shift;
    u = u < kMaxExponent ? u : kMaxExponent;
    const auto whole = int32_t(u >> kExpBits);
    const int32_t rounding = (1 << whole) >> 1;
    return (table[u & ((1 << kExpBits) - 1)] + rounding) >> whole;
}

inline int32_t largest_of(const int32_t* x, int64_t n) {
    int32_t most = x[0];
    for (int64_t i = 1; i < n; ++i) most = x[i] > most ? x[i] : most;
    return most;
}

// Weights of scores in Q15; returns their sum.
inline int64_t exp_weights(const int32_t* x, int64_t most, const Exponent& exponent, int64_t n, int32_t* __restrict y) {
    const int32_t* __restrict table = exp_table;
    const int64_t half = half_of(exponent.shift), multiplier = exponent.multiplier;
    const int shift = exponent.shift;
    int64_t sum = 0;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        y[i] = exp_weight(most - x[i], multiplier, shift, half, table);
        sum += y[i];
    }
    return sum;
}

void softmax(const int32_t* x, const Exponent& exponent, int64_t n, int32_t* __restrict y) {
    const int64_t sum = exp_weights(x, largest_of(x, n), exponent, n, y);
    const int64_t inverse = (int64_t(1) << 46) / (sum > 1 ? sum : 1);
    for (int64_t i = 0; i < n; ++i) y[i] = int32_t((y[i] * inverse + (int64_t(1) << 30)) >> 31);
}

// The logarithm of base 2 in Q16 of a number from 1 to below 2**31, see numerics.log2.
inline int64_t log2_of(int64_t x) {
    const int whole = bit_length(uint64_t(x)) - 1;
    uint64_t m = uint64_t(x) << (30 - whole);
    int64_t found = int64_t(whole) << kLogBits;
    for (int bit = kLogBits - 1; bit >= 0; --bit) {
        m = (m * m) >> 30;
        const uint64_t above = m >> 31;
        found += int64_t(above << bit);
        m >>= above;
    }
    return found;
}

void log_softmax(const int32_t* x, const Exponent& exponent, int64_t n, int32_t* __restrict y) {
    const int64_t most = largest_of(x, n);
    const int64_t total = log2_of(exp_weights(x, most, exponent, n, y)) - log2_of(32767);
    const int64_t half = half_of(exponent.shift), multiplier = exponent.multiplier << (kLogBits - kExpBits);
    const int shift = exponent.shift;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t log = -(((most - x[i]) * multiplier + half) >> shift) - total;
        y[i] = int32_t(log > -INT32_MAX ? log : -INT32_MAX);
    }
}

void magnitude(const int32_t* const* x, int64_t inputs, int64_t eps, int64_t n, int32_t* __restrict y) {
    int64_t squares[kChunk];
    for (int64_t i = 0; i < n; ++i) squares[i] = eps;
    for (int64_t k = 0; k < inputs; ++k) {
        const int32_t* part = x[k];
        for (int64_t i = 0; i < n; ++i) squares[i] += (int64_t(part[i]) * part[i]) << 16;
    }
    for (int64_t i = 0; i < n; ++i) y[i] = int32_t(square_root(squares[i]));
}
