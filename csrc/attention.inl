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
    const int64_t inverse = (int64_t(1) << 46) / (total > 1 ? total : 1), half = half_of(job.shift);
    for (int64_t i = 0; i < job.width; ++i) {
        const int64_t mixture = int64_t(uint64_t(job.mixed[i]) * uint64_t(inverse) + (uint64_t(1) << 30)) >> 31;
        job.y[i] = rescaled(clamped(mixture, INT32_MIN, INT32_MAX), job.multiplier, job.shift, half, job.low, job.high);
    }
}
