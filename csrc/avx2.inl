// Registers of 32 bytes: a line is two. See product.inl for the contract.
struct Registers32 {
    using Words = __m256i;
    using Sums = __m256i;
    static constexpr int kBytes = 32, kSums = 8, kFrames = 4;

    template <int kT>
    static constexpr int panels() { return 4 / kT; }

    static Sums zero() { return _mm256_setzero_si256(); }
    template <class Register>
    static void keep(Register& v) { asm volatile("" : "+x"(v)); }
    static Words load(const uint8_t* line) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(line)); }

    template <int kBits, int kField>
    static Words mask(Words v) {
        return _mm256_and_si256(v, _mm256_set1_epi8(char(((1 << kBits) - 1) << (kBits * kField))));
    }
    template <int kBits, int kField>
    static Words field(Words v) {
        if constexpr (kBits == 8) return v;
        if constexpr (kField > 0) v = _mm256_srli_epi16(v, kBits * kField);
        return _mm256_and_si256(v, _mm256_set1_epi8(char((1 << kBits) - 1)));
    }
    static __m256i broadcast(const int8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        return _mm256_set1_epi32(four);
    }
    static Sums plus(Sums a, Sums b) { return _mm256_add_epi32(a, b); }
    static Sums right(Sums sum, int shift) { return shift == 0 ? sum : _mm256_srai_epi32(sum, shift); }
    static void add(int32_t* y, Sums sum, int shift, bool fresh) {
        auto* out = reinterpret_cast<__m256i*>(y);
        if (shift > 0) sum = _mm256_slli_epi32(sum, shift);
        _mm256_storeu_si256(out, fresh ? sum : _mm256_add_epi32(_mm256_loadu_si256(out), sum));
    }
};

#define FEWBIT_OWN_BYTE_SUM

int32_t byte_sum(const int8_t* x, int64_t n) {
    const __m256i ones = _mm256_set1_epi8(1), short_ones = _mm256_set1_epi16(1);
    __m256i sums = _mm256_setzero_si256();
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(ones, bytes), short_ones));
    }
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    int32_t sum = _mm_cvtsi128_si32(four);
    for (; i < n; ++i) sum += x[i];
    return sum;
}

#define FEWBIT_OWN_ROW_SUMS

// Bytes are moved by 128, so that their sums of eight are one instruction.
void row_sums(const int8_t* x, int64_t n, int64_t count, int32_t* y) {
    const __m128i moved = _mm_set1_epi8(char(0x80)), zero = _mm_setzero_si128();
    for (int64_t i = 0; i < count; ++i, x += n) {
        __m128i sums = zero;
        int64_t k = 0;
        for (; k + 16 <= n; k += 16) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + k));
            sums = _mm_add_epi64(sums, _mm_sad_epu8(_mm_xor_si128(bytes, moved), zero));
        }
        int32_t sum = _mm_cvtsi128_si32(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums))) - int32_t(128 * k);
        for (; k < n; ++k) sum += x[k];
        y[i] = sum;
    }
}

#include "avx2_pairs.inl"
#include "x86_kept.inl"
