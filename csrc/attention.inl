// One query against many keys, see fewbit.program.ops.attention. Included in the unnamed namespace of each target file.

// Sums are unsigned: a state from elsewhere may hold keys and values beyond their range, whose sums wrap.
template <class Sum>
inline void dot_products(const Attention& job) {
    const int64_t width = job.width;
    const int16_t* __restrict query = job.query;
    for (int64_t j = 0; j < job.count; ++j) {
        const int16_t* __restrict key = job.keys + j * width;
        Sum sum = 0;
        for (int64_t i = 0; i < width; ++i) sum += Sum(int32_t(query[i]) * int32_t(key[i]));
        job.scores[j] = sizeof(Sum) == 4 ? int64_t(int32_t(sum)) : int64_t(sum);
    }
}

inline int64_t weigh_scores(const Attention& job) {
    int64_t most = INT64_MIN;
    for (int64_t j = 0; j < job.count; ++j)
        if (job.seen == nullptr || job.seen[j] != 0) most = job.scores[j] > most ? job.scores[j] : most;
    const int32_t* __restrict table = exp_table;
    const int64_t half = half_of(job.exponent.shift), multiplier = job.exponent.multiplier, n = job.count;
    const int shift = job.exponent.shift;
    const int64_t* __restrict scores = job.scores;
    int32_t* __restrict weights = job.weights;
    int64_t total = 0;
    if (job.seen == nullptr) {
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) {
            weights[j] = exp_weight(most - scores[j], multiplier, shift, half, table);
            total += weights[j];
        }
        return total;
    }
    for (int64_t j = 0; j < n; ++j) {
        weights[j] = job.seen[j] != 0 ? exp_weight(most - scores[j], multiplier, shift, half, table) : 0;
        total += weights[j];
    }
    return total;
}

// mixed += sum over the keys first..last of weight * value, for kCount numbers from `start` on, whose sums of type Sum stay
// in registers.
template <class Sum, int64_t kCount>
inline void mix_numbers(const Attention& job, int64_t first, int64_t last, int64_t start) {
    Sum sums[kCount] = {};
    for (int64_t j = first; j < last; ++j) {
        const auto weight = Sum(job.weights[j]);
        const int16_t* __restrict value = job.values + j * job.width + start;
        for (int64_t i = 0; i < kCount; ++i) sums[i] += weight * Sum(int32_t(value[i]));
    }
    for (int64_t i = 0; i < kCount; ++i)
        job.mixed[start + i] += sizeof(Sum) == 4 ? int64_t(int32_t(sums[i])) : int64_t(sums[i]);
}

template <class Sum>
inline void mix_values(const Attention& job, int64_t first, int64_t last) {
    int64_t start = 0;
    for (; job.width - start >= 64; start += 64) mix_numbers<Sum, 64>(job, first, last, start);
    for (; job.width - start >= 16; start += 16) mix_numbers<Sum, 16>(job, first, last, start);
    for (; start < job.width; ++start) mix_numbers<Sum, 1>(job, first, last, start);
}

inline void finish_mixture(const int64_t* mixed, int64_t total, const Blend& to, int64_t n, int32_t* __restrict y) {
    const int64_t inverse = (int64_t(1) << 46) / (total > 1 ? total : 1), half = half_of(to.shift);
    const int32_t multiplier = to.multiplier, low = to.low, high = to.high;
    const int shift = to.shift;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t mixture = int64_t(uint64_t(mixed[i]) * uint64_t(inverse) + (uint64_t(1) << 30)) >> 31;
        y[i] = rescaled(clamped(mixture, INT32_MIN, INT32_MAX), multiplier, shift, half, low, high);
    }
}

void blend(const int32_t* sums, int64_t parts, int64_t apart, int64_t total, const Blend& to, int64_t n, int32_t* y) {
    for (int64_t first = 0; first < n; first += kChunk) {
        const int64_t some = n - first < kChunk ? n - first : kChunk;
        int64_t mixed[kChunk];
        for (int64_t i = 0; i < some; ++i) mixed[i] = sums[first + i];
        for (int64_t part = 1; part < parts; ++part)
            for (int64_t i = 0; i < some; ++i) mixed[i] += sums[part * apart + first + i];
        finish_mixture(mixed, total, to, some, y + first);
    }
}

void attend(const Attention& job) {
    if (job.wide)
        dot_products<uint64_t>(job);
    else
        dot_products<uint32_t>(job);
    const int64_t total = weigh_scores(job);
    for (int64_t i = 0; i < job.width; ++i) job.mixed[i] = 0;
    if (job.together > 0)
        for (int64_t j = 0; j < job.count; j += job.together)
            mix_values<uint32_t>(job, j, job.count - j < job.together ? job.count : j + job.together);
    else
        mix_values<uint64_t>(job, 0, job.count);
    finish_mixture(job.mixed, total, job.to, job.width, job.y);
}

// The largest score that is seen.
inline int32_t largest_score(const Weighing& job) {
    int32_t most = INT32_MIN;
    if (job.seen == nullptr)
        for (int64_t j = 0; j < job.count; ++j) most = job.scores[j] > most ? job.scores[j] : most;
    else
        for (int64_t j = 0; j < job.count; ++j) {
            const int32_t score = job.seen[j] != 0 ? job.scores[j] : INT32_MIN;
            most = score > most ? score : most;
        }
    return most;
}

// In passes over a few scores, each of which becomes vectors.
int64_t weigh(const Weighing& job) {
    const int32_t* __restrict table = exp_table;
    const int32_t most = largest_score(job);
#ifdef FEWBIT_OWN_WEIGH
    if (exp_factors.exact) return weigh_by_factors(job, most);
#endif
    const auto multiplier = uint32_t(job.exponent.multiplier);
    const auto half = uint64_t(half_of(job.exponent.shift));
    const int shift = job.exponent.shift;
    int64_t total = 0;
    for (int64_t first = 0; first < job.count; first += kChunk) {
        const int64_t n = job.count - first < kChunk ? job.count - first : kChunk;
        const int32_t* __restrict scores = job.scores + first;
        int32_t weights[kChunk];
        for (int64_t j = 0; j < n; ++j) {
            // What is not seen may score more than what is.
            const uint32_t distance = uint32_t(most) - uint32_t(scores[j] < most ? scores[j] : most);
            const uint64_t u = (uint64_t(distance) * multiplier + half) >> shift;
            weights[j] = int32_t(u < uint64_t(kMaxExponent) ? u : uint64_t(kMaxExponent));
        }
        int32_t sum = 0;
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) {
            const int32_t whole = weights[j] >> kExpBits, rounding = (1 << whole) >> 1;
            weights[j] = (table[weights[j] & ((1 << kExpBits) - 1)] + rounding) >> whole;
        }
        if (job.seen != nullptr)
            for (int64_t j = 0; j < n; ++j) weights[j] = job.seen[first + j] != 0 ? weights[j] : 0;
        for (int64_t j = 0; j < n; ++j) sum += weights[j];
        int8_t *__restrict high = job.high + first, *__restrict low = job.low + first;
        for (int64_t j = 0; j < n; ++j) high[j] = int8_t(weights[j] >> 8);
        for (int64_t j = 0; j < n; ++j) low[j] = int8_t((weights[j] & 255) - 128);
        total += sum;
    }
    return total;
}
