// 64-bit Arm, every one.
#include <arm_neon.h>

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "neon.inl"

// Products in 16 bits. Two of a field of up to 4 bits fit there together; two of bytes do not.
struct Widening : Neon {
    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        const int8x16_t four = broadcast(x);
        const int8x16_t w = kBits < 8 ? vreinterpretq_s8_u8(u) : centred(u);
        const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(four)), high = vmull_high_s8(w, four);
        if constexpr (kBits < 8) {
            return vpadalq_s16(sum, vpaddq_s16(low, high));
        } else {
            const int32x4_t past = vshlq_n_s32(vpaddlq_s16(vpaddlq_s8(four)), 7);
            return vaddq_s32(vaddq_s32(sum, past), vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
        }
    }
    static Sums dot_signed(Sums sum, Words w, const int8_t* x) {
        const int8x16_t codes = vreinterpretq_s8_u8(w), four = centred(vreinterpretq_u8_s8(broadcast(x)));
        const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(four)), high = vmull_high_s8(codes, four);
        const int32x4_t past = vshlq_n_s32(vpaddlq_s16(vpaddlq_s8(codes)), 7);
        return vaddq_s32(vaddq_s32(sum, past), vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    }
};

#include "product.inl"
#include "parts.inl"
#include "target.inl"

bool runs_here() { return true; }

}  // namespace

extern const Kernels neon_kernels;
const Kernels neon_kernels FEWBIT_KERNELS("neon", product<Widening>, product_part<Widening>, read_lines<Widening>, kept_product<Widening>, 0.5, 0.5, kUnknownColumns);

}  // namespace fewbit
