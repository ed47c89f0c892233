// Registers of 64 bytes: a line is one. See product.inl for the contract.
struct Avx512 {
    using Words = __m512i;
    using Sums = __m512i;
    static constexpr int kBytes = 64, kSums = 16, kFrames = 8;
    static constexpr bool kScaled = true;

    template <int kT>
    static constexpr int panels() { return kT > 4 ? 2 : 4; }

    static Sums zero() { return _mm512_setzero_si512(); }
    template <class Register>
    static void keep(Register& v) { asm volatile("" : "+v"(v)); }
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
        // Not the intrinsic: with it GCC 12 copies half of the sums around, and some to memory, in every turn of the loop.
        asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(_mm512_set1_epi32(four)));
        return sum;
    }
    static Sums dot_signed(Sums sum, Words w, const int8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(_mm512_set1_epi32(four)), "v"(w));
        return sum;
    }
    static Sums plus(Sums a, Sums b) { return _mm512_add_epi32(a, b); }
    static Sums right(Sums sum, int shift) { return shift == 0 ? sum : _mm512_srai_epi32(sum, unsigned(shift)); }
    static void add(int32_t* y, Sums sum, int shift, bool fresh) {
        if (shift > 0) sum = _mm512_slli_epi32(sum, unsigned(shift));
        _mm512_storeu_si512(y, fresh ? sum : _mm512_add_epi32(_mm512_loadu_si512(y), sum));
    }
};

#define FEWBIT_OWN_BYTE_SUM

int32_t byte_sum(const int8_t* x, int64_t n) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sums = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 lanes = n - i >= 64 ? ~__mmask64(0) : (__mmask64(1) << (n - i)) - 1;
        sums = _mm512_dpbusd_epi32(sums, ones, _mm512_maskz_loadu_epi8(lanes, x + i));
    }
    return _mm512_reduce_add_epi32(sums);
}

#include "avx512_rescale.inl"
#include "avx512_places.inl"
#include "avx512_weigh.inl"
#include "avx512_pairs.inl"
#include "x86_kept.inl"
#include "avx512_columns.inl"
