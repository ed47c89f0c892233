// Registers of 64 bytes: a line is one. See product.inl for the contract.
struct Avx512 {
    using Words = __m512i;
    using Sums = __m512i;
    static constexpr int kBytes = 64, kSums = 16, kFrames = 4;
    static constexpr bool kScaled = true;

    template <int kT>
    static constexpr int panels() { return 4; }

    static Sums zero() { return _mm512_setzero_si512(); }
    static Words load(const uint8_t* line) { return _mm512_load_si512(line); }

    template <int kBits, int kField>
    static Words mask(Words v) {
        return _mm512_and_si512(v, _mm512_set1_epi8(char(((1 << kBits) - 1) << (kBits * kField))));
    }
    template <int kBits, int kField>
    static Words field(Words v) {
        if constexpr (kBits == 8) return v;
        if constexpr (kField > 0) v = _mm512_srli_epi16(v, kBits * kField);
        return _mm512_and_si512(v, _mm512_set1_epi8(char((1 << kBits) - 1)));
    }
    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        return _mm512_dpbusd_epi32(sum, u, _mm512_set1_epi32(four));
    }
    static Sums right(Sums sum, int shift) { return shift == 0 ? sum : _mm512_srai_epi32(sum, unsigned(shift)); }
    static void add(int32_t* y, Sums sum, int shift) {
        if (shift > 0) sum = _mm512_slli_epi32(sum, unsigned(shift));
        _mm512_storeu_si512(y, _mm512_add_epi32(_mm512_loadu_si512(y), sum));
    }
};
