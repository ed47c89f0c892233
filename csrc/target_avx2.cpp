// x86 with AVX2.
#include <immintrin.h>

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "avx2.inl"

// Products come as sums of two in 16 bits, which fields of up to 4 bits cannot overflow. Several of those fit, too, and
// are added to 32 bits together.
struct Avx2 : Registers32 {
    static constexpr bool kScaled = false;

    // Blocks that fit: each adds 8 / kBits times two products of at most (2**kBits - 1) * 128.
    template <int kBits>
    static constexpr int short_blocks() {
        return kBits == 8 ? 0 : 32767 / (8 / kBits * 2 * ((1 << kBits) - 1) * 128);
    }
    // As one piece: of intrinsics, GCC orders the sums anew and keeps half of them in memory.
    static Sums dot_short(Sums sum, Words u, const int8_t* x) {
        __m256i product;
        asm("vpbroadcastd %[x], %[product]\n\tvpmaddubsw %[product], %[u], %[product]\n\tvpaddw %[product], %[sum], %[sum]"
            : [sum] "+x"(sum), [product] "=&x"(product)
            : [u] "x"(u), [x] "m"(*reinterpret_cast<const int8_t(*)[4]>(x)));
        return sum;
    }
    static Sums add_short(Sums sum, Sums shorts) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1)));
    }

    // Bytes, as two fields of 4 bits.
    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        const __m256i four = broadcast(x), nibble = _mm256_set1_epi8(15);
        const __m256i low = _mm256_and_si256(u, nibble), high = _mm256_and_si256(_mm256_srli_epi16(u, 4), nibble);
        const __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(high, four), _mm256_set1_epi16(16));
        return _mm256_add_epi32(add_short(sum, _mm256_maddubs_epi16(low, four)), sums);
    }
    // Here the activations are two fields of 4 bits.
    static Sums dot_signed(Sums sum, Words w, const int8_t* x) {
        const __m256i four = broadcast(x), nibble = _mm256_set1_epi8(15);
        const __m256i low = _mm256_and_si256(four, nibble), high = _mm256_and_si256(_mm256_srli_epi16(four, 4), nibble);
        const __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(high, w), _mm256_set1_epi16(16));
        return _mm256_add_epi32(add_short(sum, _mm256_maddubs_epi16(low, w)), sums);
    }
};

#include "product.inl"
#include "parts.inl"
#include "target.inl"

bool runs_here() { return __builtin_cpu_supports("avx2"); }

}  // namespace

extern const Kernels avx2_kernels;
const Kernels avx2_kernels FEWBIT_KERNELS("avx2", product<Avx2>, product_part<Avx2>, read_lines<Avx2>, kept_product<Avx2>, 1.0, 0.4, kSlowColumns);

}  // namespace fewbit
