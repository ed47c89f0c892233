// Pairs with AVX2, see pairs.inl. Included in the unnamed namespace of each target file, by avx2.inl.

#define FEWBIT_OWN_PAIRS
constexpr int64_t kPairFrames = 3;

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

// Two groups side by side; the fields of the second are those of the first, 4 bits further.
void unpack_pairs(const uint8_t* line, int64_t step, int panels, int64_t blocks, uint8_t* out) {
    const __m256i nibble = _mm256_set1_epi8(15), lower = _mm256_set_m128i(_mm_set1_epi8(char(0xf0)), _mm_set1_epi8(15));
    __m256i low[4], high[4];
    for (int c = 0; c < 4; ++c) {
        const auto both = [](const uint8_t* table) {
            const __m128i even = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
            // No table entry has a bit that leaves its byte and counts.
            const __m128i odd = _mm_and_si128(_mm_slli_epi16(even, 4), _mm_set1_epi8(char(0xf0)));
            return _mm256_set_m128i(odd, even);
        };
        low[c] = both(kPairFields.low[c]);
        high[c] = both(kPairFields.high[c]);
    }
    for (int64_t j = 0; j < blocks; ++j, line += step)
        for (int half = 0; half < 2; ++half)
            for (int p = 0; p < panels; ++p, out += kLineBytes) {
                const __m256i v =
                    _mm256_load_si256(reinterpret_cast<const __m256i*>(line + p * kLineBytes + 2 * half * kPanelRows));
                const __m256i a = _mm256_and_si256(v, nibble), b = _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble);
                __m128i bytes[4];
                for (int c = 0; c < 4; ++c) {
                    const __m256i added = _mm256_add_epi8(_mm256_shuffle_epi8(low[c], a), _mm256_shuffle_epi8(high[c], b));
                    const __m256i fields = _mm256_and_si256(added, lower);
                    bytes[c] = _mm_or_si128(_mm256_castsi256_si128(fields), _mm256_extracti128_si256(fields, 1));
                }
                const __m128i i = _mm_unpacklo_epi8(bytes[0], bytes[1]), k = _mm_unpacklo_epi8(bytes[2], bytes[3]);
                const __m128i l = _mm_unpackhi_epi8(bytes[0], bytes[1]), m = _mm_unpackhi_epi8(bytes[2], bytes[3]);
                auto* to = reinterpret_cast<__m128i*>(out);
                _mm_store_si128(to, _mm_unpacklo_epi16(i, k));
                _mm_store_si128(to + 1, _mm_unpackhi_epi16(i, k));
                _mm_store_si128(to + 2, _mm_unpacklo_epi16(l, m));
                _mm_store_si128(to + 3, _mm_unpackhi_epi16(l, m));
            }
}
