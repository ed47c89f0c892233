// Weights of attention with AVX-512.
// Included in the unnamed namespace of each target file, by avx512.inl.

#define FEWBIT_OWN_WEIGH

// Products of even and odd numbers without signs, rounded and shifted to 32 bits.
inline __m512i product_shifted(__m512i x, __m512i y, __m512i half, __m128i shift) {
    __m512i even = _mm512_mul_epu32(x, y);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(y, 32));
    even = _mm512_srl_epi64(_mm512_add_epi64(even, half), shift);
    odd = _mm512_srl_epi64(_mm512_add_epi64(odd, half), shift);
    return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

// With the table of exponentials as products of two tables of 32 entries, which lie in registers.
int64_t weigh_by_factors(const Weighing& job, int32_t most) {
    constexpr int kBits = 10;  // kExpBits of norms.inl
    constexpr uint64_t kMost = 24 << kBits;
    const int to = job.exponent.shift;
    const auto multiplier = uint32_t(job.exponent.multiplier);
    const uint64_t half = to > 0 ? uint64_t(1) << (to - 1) : 0;
    // Beyond this distance a weight is 0 anyway, and the exponent could leave 32 bits.
    const bool is_far = multiplier == 0 || (kMost << to) >> to != kMost;
    const uint64_t reach = is_far ? UINT32_MAX : (kMost << to) / multiplier + 1;
    const __m512i limit = _mm512_set1_epi32(int32_t(uint32_t(reach < UINT32_MAX ? reach : UINT32_MAX)));
    const __m512i tops = _mm512_set1_epi32(most), multipliers = _mm512_set1_epi32(int32_t(multiplier));
    const __m512i halves = _mm512_set1_epi64(int64_t(half)), ends = _mm512_set1_epi32(int32_t(kMost));
    const __m128i shift = _mm_cvtsi32_si128(to), past = _mm_cvtsi32_si128(48);
    const __m512i rounding = _mm512_set1_epi64(int64_t(1) << 47), one = _mm512_set1_epi32(1);
    const auto* factors = &exp_factors;
    const __m512i coarse[2] = {_mm512_loadu_si512(factors->coarse), _mm512_loadu_si512(factors->coarse + 16)};
    const __m512i fine[2] = {_mm512_loadu_si512(factors->fine), _mm512_loadu_si512(factors->fine + 16)};
    int64_t total = 0;
    for (int64_t first = 0; first < job.count; first += kChunk) {
        const int64_t end = job.count - first < kChunk ? job.count : first + kChunk;
        __m512i sums = _mm512_setzero_si512();
        for (int64_t j = first; j < end; j += 16) {
            __mmask16 lanes = lanes_of(end - j);
            const __m512i scores = _mm512_min_epi32(_mm512_maskz_loadu_epi32(lanes, job.scores + j), tops);
            const __m512i distance = _mm512_min_epu32(_mm512_sub_epi32(tops, scores), limit);
            const __m512i u = _mm512_min_epu32(product_shifted(distance, multipliers, halves, shift), ends);
            const __m512i a = _mm512_permutex2var_epi32(coarse[0], _mm512_srli_epi32(u, 5), coarse[1]);
            const __m512i b = _mm512_permutex2var_epi32(fine[0], u, fine[1]);
            const __m512i entry = product_shifted(a, b, rounding, past), whole = _mm512_srli_epi32(u, kBits);
            const __m512i up = _mm512_srli_epi32(_mm512_sllv_epi32(one, whole), 1);
            if (job.seen != nullptr) {
                const __m512i seen = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, job.seen + j));
                lanes = _mm512_mask_test_epi32_mask(lanes, seen, one);
            }
            const __m512i weights = _mm512_maskz_srlv_epi32(lanes, _mm512_add_epi32(entry, up), whole);
            sums = _mm512_add_epi32(sums, weights);
            lanes = lanes_of(end - j);
            _mm512_mask_cvtepi32_storeu_epi8(job.high + j, lanes, _mm512_srli_epi32(weights, 8));
            _mm512_mask_cvtepi32_storeu_epi8(job.low + j, lanes, _mm512_xor_si512(weights, _mm512_set1_epi32(128)));
        }
        total += _mm512_reduce_add_epi32(sums);
    }
    return total;
}
