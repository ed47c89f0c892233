// x86 with AVX-512 and VNNI.
#include <immintrin.h>

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "avx512.inl"
#include "product.inl"
#include "parts.inl"
#include "target.inl"

bool runs_here() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

}  // namespace

extern const Kernels avx512_kernels;
const Kernels avx512_kernels FEWBIT_KERNELS("avx512", product<Avx512>, product_part<Avx512>, read_lines<Avx512>, kept_product<Avx512>, 1.0, 1.0, kFastColumns);

}  // namespace fewbit
