// Sums to numbers with AVX-512: 32-bit products of even and odd lanes.
// Included in the unnamed namespace of each target file, by avx512.inl.

// x -> rescale(x) where results fit 32 bits before they are limited, so that both halves are limited at once. With
// 32 <= shift they always do. 1 <= shift.
struct Narrowing {
    __m512i half, low, high;
    __m128i even, odd, up;

    explicit Narrowing(const Rescale& to)
        : half(_mm512_set1_epi64(int64_t(1) << (to.shift - 1))), low(_mm512_set1_epi32(to.low)),
          high(_mm512_set1_epi32(to.high)), even(_mm_cvtsi32_si128(to.shift)),
          odd(_mm_cvtsi32_si128(to.shift > 32 ? to.shift - 32 : 0)),
          up(_mm_cvtsi32_si128(to.shift < 32 ? 32 - to.shift : 0)) {}

    // The odd half is shifted by 32 less: what is wanted stands in its upper word.
    __m512i operator()(__m512i x, __m512i m, __m512i m_odd) const {
        const __m512i a = _mm512_add_epi64(_mm512_mul_epi32(x, m), half);
        const __m512i b = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), m_odd), half);
        const __m512i upper = _mm512_sll_epi64(_mm512_sra_epi64(b, odd), up);
        const __m512i y = _mm512_mask_blend_epi32(0xaaaa, _mm512_sra_epi64(a, even), upper);
        return _mm512_min_epi32(_mm512_max_epi32(y, low), high);
    }
};

inline __mmask16 lanes_of(int64_t left) { return __mmask16(left >= 16 ? 0xffff : (1 << left) - 1); }

// Products of 64 bits two lanes apart, which the compiler would make of three instructions each.
#define FEWBIT_OWN_RESCALE

inline __m512i rescaled16(__m512i x, const int32_t* multiplier, __m512i half, __m128i shift, __m512i low,
                          __m512i high, __mmask16 lanes) {
    const __m512i m = _mm512_maskz_loadu_epi32(lanes, multiplier);
    __m512i even = _mm512_mul_epi32(x, m);
    __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(m, 32));
    even = _mm512_sra_epi64(_mm512_add_epi64(even, half), shift);
    odd = _mm512_sra_epi64(_mm512_add_epi64(odd, half), shift);
    even = _mm512_min_epi64(_mm512_max_epi64(even, low), high);
    odd = _mm512_min_epi64(_mm512_max_epi64(odd, low), high);
    return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

void rescale(const int32_t* x, const int32_t* bias, const Rescale& to, int64_t n, int32_t* y) {
    if (to.shift >= 32) {
        const Narrowing narrowed(to);
        for (int64_t i = 0; i < n; i += 16) {
            const __mmask16 lanes = lanes_of(n - i);
            __m512i sum = _mm512_maskz_loadu_epi32(lanes, x + i);
            if (bias != nullptr) sum = _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(lanes, bias + i));
            const __m512i m = _mm512_maskz_loadu_epi32(lanes, to.multiplier + i);
            _mm512_mask_storeu_epi32(y + i, lanes, narrowed(sum, m, _mm512_srli_epi64(m, 32)));
        }
        return;
    }
    const __m512i half = _mm512_set1_epi64(to.shift > 0 ? int64_t(1) << (to.shift - 1) : 0);
    const __m512i low = _mm512_set1_epi64(to.low), high = _mm512_set1_epi64(to.high);
    const __m128i shift = _mm_cvtsi32_si128(to.shift);
    for (int64_t i = 0; i < n; i += 16) {
        const auto lanes = __mmask16(n - i >= 16 ? 0xffff : (1 << (n - i)) - 1);
        __m512i sum = _mm512_maskz_loadu_epi32(lanes, x + i);
        if (bias != nullptr) sum = _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(lanes, bias + i));
        _mm512_mask_storeu_epi32(y + i, lanes,
                                 rescaled16(sum, to.multiplier + i, half, shift, low, high, lanes));
    }
}

// Integers of 32 bits to numbers in memory.
inline void store_numbers(uint8_t* y, int64_t i, __mmask16 lanes, __m512i x, Storage storage) {
    if (storage.bytes == 1)
        _mm512_mask_cvtepi32_storeu_epi8(y + i, lanes, _mm512_sub_epi32(x, _mm512_set1_epi32(storage.offset)));
    else if (storage.bytes == 2)
        _mm512_mask_cvtepi32_storeu_epi16(y + 2 * i, lanes, x);
    else
        _mm512_mask_storeu_epi32(y + 4 * i, lanes, x);
}

#define FEWBIT_OWN_REQUANTIZE

// Sixteen columns after sixteen, so that what belongs to a column is read once.
bool requantize_vectors(const Requantization& job) {
    if (job.to.shift < (job.fits_int32 ? 1 : 32)) return false;
    const Narrowing to(job.to);
    for (int64_t first = 0; first < job.count; first += kChunk) {
        const int64_t rows = job.count - first < kChunk ? job.count - first : kChunk;
        int32_t more[kChunk];
        for (int64_t t = 0; t < rows; ++t) more[t] = int32_t(job.zero_point_term(first + t));
        for (int64_t i = 0; i < job.size; i += 16) {
            const __mmask16 lanes = lanes_of(job.size - i);
            const __m512i bias =
                job.bias == nullptr ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi32(lanes, job.bias + i);
            const __m512i m = _mm512_maskz_loadu_epi32(lanes, job.to.multiplier + i), m_odd = _mm512_srli_epi64(m, 32);
            for (int64_t t = 0; t < rows; ++t) {
                const __m512i sums = _mm512_maskz_loadu_epi32(lanes, job.sums + (first + t) * job.sums_stride + i);
                __m512i x = _mm512_add_epi32(sums, _mm512_set1_epi32(more[t]));
                if (job.bias_bits > 0) x = _mm512_slli_epi32(x, unsigned(job.bias_bits));
                x = _mm512_add_epi32(x, bias);
                uint8_t* y = job.y + (first + t) * job.y_stride * job.storage.bytes;
                store_numbers(y, i, lanes, to(x, m, m_odd), job.storage);
            }
        }
    }
    return true;
}

#define FEWBIT_OWN_SUM

// Even and odd numbers by themselves, as in rescaled16().
constexpr int kSumBits = 8;  // kBiasBits of pointwise.inl

void sum(const WeightedSum& job, int64_t n, int32_t* y) {
    const __m512i half = _mm512_set1_epi64(job.shift > 0 ? int64_t(1) << (job.shift - 1) : 0);
    const __m512i low = _mm512_set1_epi64(job.low), high = _mm512_set1_epi64(job.high);
    const __m512i rounding = _mm512_set1_epi64(1 << (kSumBits - 1));
    const __m128i shift = _mm_cvtsi32_si128(job.shift);
    const auto finished = [&](__m512i sums, __m512i bias) {
        const __m512i scaled = _mm512_sra_epi64(_mm512_add_epi64(sums, half), shift);
        const __m512i codes = _mm512_srai_epi64(_mm512_add_epi64(_mm512_add_epi64(scaled, bias), rounding), kSumBits);
        return _mm512_min_epi64(_mm512_max_epi64(codes, low), high);
    };
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = lanes_of(n - i);
        __m512i even = _mm512_setzero_si512(), odd = even;
        for (int64_t k = 0; k < job.terms_count; ++k) {
            const __m512i x = _mm512_maskz_loadu_epi32(lanes, job.terms[k].x + i);
            const __m512i m = _mm512_maskz_loadu_epi32(lanes, job.terms[k].multiplier + i);
            even = _mm512_add_epi64(even, _mm512_mul_epi32(x, m));
            odd = _mm512_add_epi64(odd, _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(m, 32)));
        }
        const __m512i bias = _mm512_maskz_loadu_epi32(lanes, job.bias + i);
        even = finished(even, _mm512_srai_epi64(_mm512_slli_epi64(bias, 32), 32));
        odd = finished(odd, _mm512_srai_epi64(bias, 32));
        _mm512_mask_storeu_epi32(y + i, lanes, _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
    }
}
