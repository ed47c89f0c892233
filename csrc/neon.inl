// Registers of 16 bytes: a line is four. See product.inl for the contract.
//
// There are no products of unsigned and signed bytes here. Fields of up to 4 bits are signed bytes as they are; a whole
// byte u becomes u - 128, and 128 times the sum of its four activations is added, which is the same for all rows: the
// compiler finds it once for each frame. An unsigned activation becomes signed in the same way.
struct Neon {
    using Words = uint8x16_t;
    using Sums = int32x4_t;
    static constexpr int kBytes = 16, kSums = 16, kFrames = 4;
    static constexpr bool kScaled = false;

    template <int kT>
    static constexpr int panels() { return 4 / kT; }

    static Sums zero() { return vdupq_n_s32(0); }
    template <class Register>
    static void keep(Register& v) { asm volatile("" : "+w"(v)); }
    static Words load(const uint8_t* line) { return vld1q_u8(line); }

    template <int kBits, int kField>
    static Words mask(Words v) { return v; }
    template <int kBits, int kField>
    static Words field(Words v) {
        if constexpr (kField > 0) v = vshrq_n_u8(v, kBits * kField);
        if constexpr (kBits * (kField + 1) < 8) v = vandq_u8(v, vdupq_n_u8((1 << kBits) - 1));
        return v;
    }
    static int8x16_t broadcast(const int8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        return vreinterpretq_s8_s32(vdupq_n_s32(four));
    }
    // Bytes 0..255 as -128..127.
    static int8x16_t centred(Words u) { return vreinterpretq_s8_u8(veorq_u8(u, vdupq_n_u8(128))); }
    static Sums plus(Sums a, Sums b) { return vaddq_s32(a, b); }
    static Sums right(Sums sum, int) { return sum; }
    static void add(int32_t* y, Sums sum, int shift, bool fresh) {
        sum = vshlq_s32(sum, vdupq_n_s32(shift));
        vst1q_s32(y, fresh ? sum : vaddq_s32(vld1q_s32(y), sum));
    }
};

#include "neon_pairs.inl"
