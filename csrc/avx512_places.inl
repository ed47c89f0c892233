// Places of convolutions with AVX-512.
// Included in the unnamed namespace of each target file, by avx512.inl.

#define FEWBIT_OWN_ROW_SUMS

// Lanes of two vectors, added in pairs.
inline __m512i lane_pairs(__m512i a, __m512i b) {
    return _mm512_add_epi64(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

// Four rows at once, if they are 16, 32 or 64 bytes long. Bytes are moved by 128, so that their sums of eight are one
// instruction.
void row_sums(const int8_t* x, int64_t n, int64_t count, int32_t* y) {
    const __m512i moved = _mm512_set1_epi8(char(0x80)), zero = _mm512_setzero_si512();
    const auto sums = [&](int64_t at) {
        return _mm512_sad_epu8(_mm512_xor_si512(_mm512_loadu_si512(x + at), moved), zero);
    };
    const __m512i heads = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i past = _mm_set1_epi32(int32_t(128 * n));
    int64_t i = 0;
    if (n == 16 || n == 32 || n == 64)
        for (; i + 4 <= count; i += 4, x += 4 * n) {
            __m512i lanes;
            if (n == 16)
                lanes = sums(0);
            else if (n == 32)
                lanes = lane_pairs(sums(0), sums(64));
            else
                lanes = lane_pairs(lane_pairs(sums(0), sums(64)), lane_pairs(sums(128), sums(192)));
            lanes = _mm512_add_epi64(lanes, _mm512_shuffle_epi32(lanes, _MM_PERM_BADC));
            const __m128i four = _mm512_castsi512_si128(_mm512_permutexvar_epi32(heads, lanes));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm_sub_epi32(four, past));
        }
    for (; i < count; ++i, x += n) y[i] = byte_sum(x, n);
}

#define FEWBIT_OWN_DEPTHWISE

// 64 channels of a place. The bytes of four places of the kernel are interleaved, and moved by 128 to unsigned ones, which
// the sums of the weights take back. Interleaving works within 16 bytes, see kernels.h for the order that it gives.
inline void depthwise_quads(const Depthwise& job, const int8_t* place, int64_t first, int32_t* y) {
    const __m512i moved = _mm512_set1_epi8(char(0x80));
    const auto bytes = [&](int64_t k) {
        // Behind the last place of the kernel the weights are 0.
        const int64_t start = job.starts[k < job.kernel ? k : job.kernel - 1];
        return _mm512_xor_si512(_mm512_loadu_si512(place + start + first), moved);
    };
    const int64_t groups = (job.kernel + 3) / 4;
    const int8_t* weights = job.quads + first * groups * 4;
    __m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    for (int64_t g = 0; g < groups; ++g, weights += 256) {
        const __m512i a = bytes(4 * g), b = bytes(4 * g + 1), c = bytes(4 * g + 2), d = bytes(4 * g + 3);
        const __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
        const __m512i ab_high = _mm512_unpackhi_epi8(a, b), cd_high = _mm512_unpackhi_epi8(c, d);
        const __m512i x[4] = {_mm512_unpacklo_epi16(ab, cd), _mm512_unpackhi_epi16(ab, cd),
                              _mm512_unpacklo_epi16(ab_high, cd_high), _mm512_unpackhi_epi16(ab_high, cd_high)};
        for (int v = 0; v < 4; ++v) s[v] = _mm512_dpbusd_epi32(s[v], x[v], _mm512_load_si512(weights + 64 * v));
    }
    // Sixteen channels after sixteen again.
    const __m512i even01 = _mm512_shuffle_i32x4(s[0], s[1], 0x88), odd01 = _mm512_shuffle_i32x4(s[0], s[1], 0xdd);
    const __m512i even23 = _mm512_shuffle_i32x4(s[2], s[3], 0x88), odd23 = _mm512_shuffle_i32x4(s[2], s[3], 0xdd);
    const __m512i out[4] = {_mm512_shuffle_i32x4(even01, even23, 0x88), _mm512_shuffle_i32x4(odd01, odd23, 0x88),
                            _mm512_shuffle_i32x4(even01, even23, 0xdd), _mm512_shuffle_i32x4(odd01, odd23, 0xdd)};
    for (int i = 0; i < 4; ++i) {
        const __m512i past = _mm512_slli_epi32(_mm512_loadu_si512(job.sums + first + 16 * i), 7);
        _mm512_storeu_si512(y + first + 16 * i, _mm512_sub_epi32(out[i], past));
    }
}
