// See kept.inl and columns.inl; 16 bytes at a time, which every x86 target has. Included in the unnamed namespace of each target file.

#define FEWBIT_OWN_SHUFFLES
#define FEWBIT_OWN_ORDERS

struct Shuffle {
    __m128i order;
    explicit Shuffle(const uint8_t* bytes) : order(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))) {}
    void line(const uint8_t* x, const int64_t* starts, uint8_t* to) const {
        const auto four = [&](int k) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + starts[k])); };
#ifdef __AVX512BW__
        const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(four(0)), four(1), 1);
        const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(four(2)), four(3), 1);
        const __m512i all = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
        _mm512_store_si512(to, _mm512_shuffle_epi8(all, _mm512_broadcast_i32x4(order)));
#else
        for (int k = 0; k < 4; ++k)
            _mm_store_si128(reinterpret_cast<__m128i*>(to) + k, _mm_shuffle_epi8(four(k), order));
#endif
    }
};

// Rows i and i + 8 are interleaved four times: byte c of row i ends as byte i of row c.
inline void turn_bytes(const int8_t* x, int64_t stride, uint8_t* y, int64_t y_stride) {
    const __m128i moved = _mm_set1_epi8(char(0x80));
    __m128i a[16], b[16];
    for (int i = 0; i < 16; ++i)
        a[i] = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i * stride)), moved);
    const auto turn = [](const __m128i* from, __m128i* to) {
        for (int i = 0; i < 8; ++i) {
            to[2 * i] = _mm_unpacklo_epi8(from[i], from[i + 8]);
            to[2 * i + 1] = _mm_unpackhi_epi8(from[i], from[i + 8]);
        }
    };
    turn(a, b);
    turn(b, a);
    turn(a, b);
    turn(b, a);
    for (int c = 0; c < 16; ++c) _mm_storeu_si128(reinterpret_cast<__m128i*>(y + c * y_stride), a[c]);
}

inline void turn_sums(const int32_t* x, int64_t stride, int32_t* y, int64_t y_stride) {
    const auto row = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i * stride)); };
    const __m128i a = _mm_unpacklo_epi32(row(0), row(1)), b = _mm_unpackhi_epi32(row(0), row(1));
    const __m128i c = _mm_unpacklo_epi32(row(2), row(3)), d = _mm_unpackhi_epi32(row(2), row(3));
    const auto put = [&](int i, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i * y_stride), v); };
    put(0, _mm_unpacklo_epi64(a, c));
    put(1, _mm_unpackhi_epi64(a, c));
    put(2, _mm_unpacklo_epi64(b, d));
    put(3, _mm_unpackhi_epi64(b, d));
}

inline void move_bytes(const int8_t* x, const uint8_t* order, int8_t* y) {
    const __m128i moved = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)),
                                           _mm_loadu_si128(reinterpret_cast<const __m128i*>(order)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y), moved);
}
