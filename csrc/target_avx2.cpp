// x86 with AVX2.
#include <immintrin.h>

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "avx2.inl"

// Products by way of sums of two in 16 bits, which fields of up to 4 bits cannot overflow.
struct Avx2 : Registers32 {
    static constexpr bool kScaled = false;

    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        const __m256i four = broadcast(x), ones = _mm256_set1_epi16(1);
        if constexpr (kBits < 8) {
            return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, four), ones));
        } else {
            const __m256i nibble = _mm256_set1_epi8(15);
            const __m256i low = _mm256_and_si256(u, nibble), high = _mm256_and_si256(_mm256_srli_epi16(u, 4), nibble);
            const __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(high, four), _mm256_set1_epi16(16));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(low, four), ones));
            return _mm256_add_epi32(sum, sums);
        }
    }
};

#include "product.inl"
#include "elementwise.inl"

bool runs_here() { return __builtin_cpu_supports("avx2"); }

}  // namespace

extern const Kernels avx2_kernels;
const Kernels avx2_kernels FEWBIT_KERNELS("avx2", product<Avx2>);

}  // namespace fewbit
