// Pairs with NEON, see pairs.inl. Included in the unnamed namespace of each target file, by neon.inl.

#define FEWBIT_OWN_PAIRS

// 16 bits hold the sums of so many lines: each adds four times -256 .. 254.
constexpr int64_t kPairShort = 32;

void pair_sums(const uint8_t* line, int64_t step, int panels, int64_t blocks, const int8_t* x, int32_t* sums) {
    const uint8x16_t nibble = vdupq_n_u8(15);
    const uint8x16_t but_first = vreinterpretq_u8_u64(vdupq_n_u64(~uint64_t(255)));
    const uint8x16_t minus = vreinterpretq_u8_u64(vcombine_u64(vdup_n_u64(0), vdup_n_u64(~uint64_t(0))));
    for (int p = 0; p < panels; ++p, line += kLineBytes, sums += kPanelRows) {
        int32x4_t wide[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
        const uint8_t* at = line;
        const int8_t* numbers = x;
        for (int64_t j = 0; j < blocks;) {
            int16x8_t first = vdupq_n_s16(0), second = first;
            const int64_t end = blocks - j < kPairShort ? blocks : j + kPairShort;
            for (; j < end; ++j, at += step)
                for (int g = 0; g < 4; ++g, numbers += kPairColumns) {
                    const uint8x8_t eight = vreinterpret_u8_s8(vld1_s8(numbers));
                    const uint8x16_t low = veorq_u8(vcombine_u8(eight, eight), minus), high = vandq_u8(low, but_first);
                    const uint8x16_t v = vld1q_u8(at + g * kPanelRows);
                    const int8x16_t a = vreinterpretq_s8_u8(vqtbl1q_u8(low, vandq_u8(v, nibble)));
                    const int8x16_t b = vreinterpretq_s8_u8(vqtbl1q_u8(high, vshrq_n_u8(v, 4)));
                    first = vaddq_s16(first, vaddl_s8(vget_low_s8(a), vget_low_s8(b)));
                    second = vaddq_s16(second, vaddl_high_s8(a, b));
                }
            wide[0] = vaddw_s16(wide[0], vget_low_s16(first));
            wide[1] = vaddw_high_s16(wide[1], first);
            wide[2] = vaddw_s16(wide[2], vget_low_s16(second));
            wide[3] = vaddw_high_s16(wide[3], second);
        }
        for (int i = 0; i < 4; ++i) vst1q_s32(sums + 4 * i, wide[i]);
    }
}
