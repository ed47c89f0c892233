// Pairs with AVX-512, see pairs.inl. Included in the unnamed namespace of each target file, by avx512.inl.

#define FEWBIT_OWN_PAIRS

// 16 bits hold the sums of so many lines: each adds -256 .. 254.
constexpr int64_t kPairShort = 128;

// Eight sums of 16 bits of four groups, added up.
inline __m256i four_groups(__m512i sums) {
    const __m256i a = _mm256_cvtepi16_epi32(_mm512_extracti32x4_epi32(sums, 0));
    const __m256i b = _mm256_cvtepi16_epi32(_mm512_extracti32x4_epi32(sums, 1));
    const __m256i c = _mm256_cvtepi16_epi32(_mm512_extracti32x4_epi32(sums, 2));
    const __m256i d = _mm256_cvtepi16_epi32(_mm512_extracti32x4_epi32(sums, 3));
    return _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
}

template <int kPanels>
inline void some_pair_sums(const uint8_t* line, int64_t step, int64_t blocks, const int8_t* x, int32_t* sums) {
    const __m512i nibble = _mm512_set1_epi8(15), one = _mm512_set1_epi8(1);
    const __m512i twice = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), minus = _mm512_setr_epi64(0, -1, 0, -1, 0, -1, 0, -1);
    const __m512i but_first = _mm512_set1_epi64(~int64_t(255));
    for (int64_t j = 0; j < blocks;) {
        __m512i low_rows[kPanels], high_rows[kPanels];
        unrolled<kPanels>([&](auto p) { low_rows[p] = high_rows[p] = _mm512_setzero_si512(); });
        const bool fresh = j == 0;
        const int64_t end = blocks - j < kPairShort ? blocks : j + kPairShort;
        for (; j < end; ++j, line += step, x += kPairBlock) {
            const __m256i numbers = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
            const __m512i both = _mm512_permutexvar_epi64(twice, _mm512_castsi256_si512(numbers));
            const __m512i low = _mm512_xor_si512(both, minus), high = _mm512_and_si512(low, but_first);
            unrolled<kPanels>([&](auto p) {
                const __m512i v = _mm512_load_si512(line + p * kLineBytes);
                const __m512i a = _mm512_shuffle_epi8(low, _mm512_and_si512(v, nibble));
                const __m512i b = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble));
                const __m512i first = _mm512_maddubs_epi16(one, _mm512_unpacklo_epi8(a, b));
                const __m512i second = _mm512_maddubs_epi16(one, _mm512_unpackhi_epi8(a, b));
                low_rows[p] = _mm512_add_epi16(low_rows[p], first);
                high_rows[p] = _mm512_add_epi16(high_rows[p], second);
            });
        }
        unrolled<kPanels>([&](auto p) {
            auto* y = reinterpret_cast<__m256i*>(sums + p * kPanelRows);
            const __m256i first = four_groups(low_rows[p]), second = four_groups(high_rows[p]);
            _mm256_storeu_si256(y, fresh ? first : _mm256_add_epi32(_mm256_loadu_si256(y), first));
            _mm256_storeu_si256(y + 1, fresh ? second : _mm256_add_epi32(_mm256_loadu_si256(y + 1), second));
        });
    }
}

void pair_sums(const uint8_t* line, int64_t step, int panels, int64_t blocks, const int8_t* x, int32_t* sums) {
    switch (panels) {
        case 4: return some_pair_sums<4>(line, step, blocks, x, sums);
        case 3: return some_pair_sums<3>(line, step, blocks, x, sums);
        case 2: return some_pair_sums<2>(line, step, blocks, x, sums);
        default: return some_pair_sums<1>(line, step, blocks, x, sums);
    }
}
