// Pairs with AVX2, see pairs.inl. Included in the unnamed namespace of each target file, by avx2.inl.

#define FEWBIT_OWN_PAIRS

// 16 bits hold the sums of so many lines: each adds twice -256 .. 254.
constexpr int64_t kPairShort = 64;

// Eight sums of 16 bits of two groups, added up.
inline __m256i two_groups(__m256i sums) {
    return _mm256_add_epi32(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums)),
                            _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums, 1)));
}

template <int kPanels>
inline void some_pair_sums(const uint8_t* line, int64_t step, int64_t blocks, const int8_t* x, int32_t* sums) {
    const __m256i nibble = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1);
    const __m256i minus = _mm256_setr_epi64x(0, -1, 0, -1), but_first = _mm256_set1_epi64x(~int64_t(255));
    for (int64_t j = 0; j < blocks;) {
        __m256i low_rows[kPanels], high_rows[kPanels];
        unrolled<kPanels>([&](auto p) { low_rows[p] = high_rows[p] = _mm256_setzero_si256(); });
        const bool fresh = j == 0;
        const int64_t end = blocks - j < kPairShort ? blocks : j + kPairShort;
        for (; j < end; ++j, line += step)
            for (int half = 0; half < 2; ++half, x += 2 * kPairColumns) {
                const __m256i numbers = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
                const __m256i low = _mm256_xor_si256(_mm256_permute4x64_epi64(numbers, 0x50), minus);
                const __m256i high = _mm256_and_si256(low, but_first);
                unrolled<kPanels>([&](auto p) {
                    const auto* pairs = reinterpret_cast<const __m256i*>(line + p * kLineBytes) + half;
                    const __m256i v = _mm256_load_si256(pairs);
                    const __m256i a = _mm256_shuffle_epi8(low, _mm256_and_si256(v, nibble));
                    const __m256i b = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
                    const __m256i first = _mm256_maddubs_epi16(one, _mm256_unpacklo_epi8(a, b));
                    const __m256i second = _mm256_maddubs_epi16(one, _mm256_unpackhi_epi8(a, b));
                    low_rows[p] = _mm256_add_epi16(low_rows[p], first);
                    high_rows[p] = _mm256_add_epi16(high_rows[p], second);
                });
            }
        unrolled<kPanels>([&](auto p) {
            auto* y = reinterpret_cast<__m256i*>(sums + p * kPanelRows);
            const __m256i first = two_groups(low_rows[p]), second = two_groups(high_rows[p]);
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
