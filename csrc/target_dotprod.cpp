// 64-bit Arm with sums of four products of bytes.
#include <arm_neon.h>

#if defined(__linux__)
#include <sys/auxv.h>
#endif

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "neon.inl"

struct DotProduct : Neon {
    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        const int8x16_t four = broadcast(x);
        if constexpr (kBits < 8) {
            return vdotq_s32(sum, vreinterpretq_s8_u8(u), four);
        } else {
            const int32x4_t past = vshlq_n_s32(vdotq_s32(zero(), vdupq_n_s8(1), four), 7);
            return vdotq_s32(vaddq_s32(sum, past), centred(u), four);
        }
    }
    static Sums dot_signed(Sums sum, Words w, const int8_t* x) {
        const int8x16_t codes = vreinterpretq_s8_u8(w);
        const int32x4_t past = vshlq_n_s32(vdotq_s32(zero(), vdupq_n_s8(1), codes), 7);
        return vdotq_s32(vaddq_s32(sum, past), codes, centred(vreinterpretq_u8_s8(broadcast(x))));
    }
};

#include "product.inl"
#include "parts.inl"
#include "target.inl"

bool runs_here() {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return false;
#endif
}

}  // namespace

extern const Kernels dotprod_kernels;
const Kernels dotprod_kernels FEWBIT_KERNELS("dotprod", product<DotProduct>, product_part<DotProduct>, read_lines<DotProduct>, kept_product<DotProduct>, 0.5, 0.5, kUnknownColumns);

}  // namespace fewbit
