// x86 with AVX2 and the VNNI of small cores.
#include <cpuid.h>
#include <immintrin.h>

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "avx2.inl"

struct AvxVnni : Registers32 {
    static constexpr bool kScaled = true;

    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        return _mm256_dpbusd_avx_epi32(sum, u, broadcast(x));
    }
    static Sums dot_signed(Sums sum, Words w, const int8_t* x) { return _mm256_dpbusd_avx_epi32(sum, broadcast(x), w); }
};

#include "product.inl"
#include "parts.inl"
#include "target.inl"

bool runs_here() {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}

}  // namespace

extern const Kernels avxvnni_kernels;
const Kernels avxvnni_kernels FEWBIT_KERNELS("avxvnni", product<AvxVnni>, product_part<AvxVnni>, read_lines<AvxVnni>, kept_product<AvxVnni>, 0.5, 0.5, kUnknownColumns);

}  // namespace fewbit
