// Norms and softmax, see fewbit.program.ops.norms and numerics.normalise. Included in the unnamed namespace of each
// target file.

constexpr int kNormBits = 23;  // fractional bits of a normalised number
constexpr int kExpBits = 10;   // of an exponent of 2
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

void softmax(const int32_t* x, const Exponent& exponent, int64_t n, int32_t* __restrict y) {
    const int32_t* __restrict table = exp_table;
    const int64_t half = half_of(exponent.shift), multiplier = exponent.multiplier;
    const int shift = exponent.shift;
    int32_t most = x[0];
    for (int64_t i = 1; i < n; ++i) most = x[i] > most ? x[i] : most;
    int64_t sum = 0;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        y[i] = exp_weight(int64_t(most) - x[i], multiplier, shift, half, table);
        sum += y[i];
    }
    const int64_t inverse = (int64_t(1) << 46) / (sum > 1 ? sum : 1);
    for (int64_t i = 0; i < n; ++i) y[i] = int32_t((y[i] * inverse + (int64_t(1) << 30)) >> 31);
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
