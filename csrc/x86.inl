// What all x86 targets share. Included in the unnamed namespace of each target file.

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
