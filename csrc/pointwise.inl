// Operations on each number by itself, see fewbit.program.ops.elementwise. Included in the unnamed namespace of each
// target file.

constexpr int kBiasBits = 8;  // fractional bits of a bias that is added to codes

inline int32_t clamped(int64_t x, int32_t low, int32_t high) { return int32_t(x < low ? low : x > high ? high : x); }

// clamp(shift_round(shift_round(x, shift) + bias, 8))
inline int32_t with_bias(int64_t x, int shift, int64_t half, int32_t bias, int32_t low, int32_t high) {
    const int64_t scaled = (x + half) >> shift;
    return clamped((scaled + bias + (1 << (kBiasBits - 1))) >> kBiasBits, low, high);
}

#ifndef FEWBIT_OWN_SUM
inline void add_term(const int32_t* x, const int32_t* multiplier, int64_t n, int64_t* __restrict sums) {
    for (int64_t i = 0; i < n; ++i) sums[i] += int64_t(x[i]) * multiplier[i];
}

void sum(const WeightedSum& job, int64_t n, int32_t* __restrict y) {
    int64_t sums[kChunk];
    for (int64_t i = 0; i < n; ++i) sums[i] = int64_t(job.terms[0].x[i]) * job.terms[0].multiplier[i];
    for (int64_t k = 1; k < job.terms_count; ++k) add_term(job.terms[k].x, job.terms[k].multiplier, n, sums);
    const int64_t half = half_of(job.shift);
    const int shift = job.shift;
    const int32_t low = job.low, high = job.high;
    const int32_t* bias = job.bias;
    for (int64_t i = 0; i < n; ++i) y[i] = with_bias(sums[i], shift, half, bias[i], low, high);
}
#endif

void mul(const int32_t* a, const int32_t* b, const Rescale& to, int64_t n, int32_t* __restrict y) {
    const int64_t half = half_of(to.shift);
    const int32_t multiplier = to.multiplier[0], low = to.low, high = to.high;
    const int shift = to.shift;
    for (int64_t i = 0; i < n; ++i) y[i] = rescaled(a[i] * b[i], multiplier, shift, half, low, high);
}

// Wide: 64 bits, where the products of points and fractions do not fit 32.
template <class Wide>
inline void curve(const int32_t* x, const Curve& job, int64_t n, int32_t* __restrict y) {
    const int bits = job.fraction_bits, shift = bits + job.spare_bits;
    const int32_t first = job.first, last = job.last, low = job.low, high = job.high, whole = 1 << bits;
    const Wide half = Wide(half_of(shift));
    const int32_t* __restrict pairs = job.pairs;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const int32_t place = saturate(x[i], first, last) - first;
        const int32_t rest = place & (whole - 1), at = place >> bits;
        const int32_t pair = pairs[at];
        const Wide between = Wide(int16_t(pair)) * (whole - rest) + Wide(pair >> 16) * rest;
        const Wide value = (between + half) >> shift;
        y[i] = int32_t(value < low ? low : value > high ? high : value);
    }
}

void map(const int32_t* x, const Curve& job, int64_t n, int32_t* y) {
    if (job.fraction_bits <= 14 && job.fraction_bits + job.spare_bits <= 30)
        curve<int32_t>(x, job, n, y);
    else
        curve<int64_t>(x, job, n, y);
}
