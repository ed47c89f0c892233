// Registers of 64 bytes: a line is one. See product.inl for the contract.
struct Avx512 {
    using Words = __m512i;
    using Sums = __m512i;
    static constexpr int kBytes = 64, kSums = 16, kFrames = 8;
    static constexpr bool kScaled = true;

    template <int kT>
    static constexpr int panels() { return kT > 4 ? 2 : 4; }

    static Sums zero() { return _mm512_setzero_si512(); }
    static Words load(const uint8_t* line) { return _mm512_load_si512(line); }

    template <int kBits, int kField>
    static Words mask(Words v) {
        return _mm512_and_si512(v, _mm512_set1_epi8(char(((1 << kBits) - 1) << (kBits * kField))));
    }
    template <int kBits, int kField>
    static Words field(Words v) {
        if constexpr (kBits == 8) return v;
        if constexpr (kField > 0) v = _mm512_srli_epi16(v, kBits * kField);
        return _mm512_and_si512(v, _mm512_set1_epi8(char((1 << kBits) - 1)));
    }
    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        // Not the intrinsic: with it GCC 12 copies half of the sums around, and some to memory, in every turn of the loop.
        asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(_mm512_set1_epi32(four)));
        return sum;
    }
    static Sums plus(Sums a, Sums b) { return _mm512_add_epi32(a, b); }
    static Sums right(Sums sum, int shift) { return shift == 0 ? sum : _mm512_srai_epi32(sum, unsigned(shift)); }
    static void add(int32_t* y, Sums sum, int shift, bool fresh) {
        if (shift > 0) sum = _mm512_slli_epi32(sum, unsigned(shift));
        _mm512_storeu_si512(y, fresh ? sum : _mm512_add_epi32(_mm512_loadu_si512(y), sum));
    }
};

#define FEWBIT_OWN_BYTE_SUM

int32_t byte_sum(const int8_t* x, int64_t n) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sums = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 lanes = n - i >= 64 ? ~__mmask64(0) : (__mmask64(1) << (n - i)) - 1;
        sums = _mm512_dpbusd_epi32(sums, ones, _mm512_maskz_loadu_epi8(lanes, x + i));
    }
    return _mm512_reduce_add_epi32(sums);
}

// x -> rescale(x) where results fit 32 bits before they are limited, so that both halves are limited at once. With 32 <= shift
// they always do. 1 <= shift.
struct Narrowing {
    __m512i half, low, high;
    __m128i even, odd, up;

    explicit Narrowing(const Rescale& to)
        : half(_mm512_set1_epi64(int64_t(1) << (to.shift - 1))), low(_mm512_set1_epi32(to.low)),
          high(_mm512_set1_epi32(to.high)), even(_mm_cvtsi32_si128(to.shift)),
          odd(_mm_cvtsi32_si128(to.shift > 32 ? to.shift - 32 : 0)), up(_mm_cvtsi32_si128(to.shift < 32 ? 32 - to.shift : 0)) {}

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

#define FEWBIT_OWN_FINISH

// Sixteen columns after sixteen, so that what belongs to a column is read once.
bool finish_at_once(const Finish& job) {
    if (job.to.shift < (job.narrow ? 1 : 32)) return false;
    const Narrowing to(job.to);
    for (int64_t first = 0; first < job.count; first += kChunk) {
        const int64_t rows = job.count - first < kChunk ? job.count - first : kChunk;
        int32_t more[kChunk];
        for (int64_t t = 0; t < rows; ++t) more[t] = int32_t(job.more(first + t));
        for (int64_t i = 0; i < job.size; i += 16) {
            const __mmask16 lanes = lanes_of(job.size - i);
            const __m512i bias = job.bias == nullptr ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi32(lanes, job.bias + i);
            const __m512i m = _mm512_maskz_loadu_epi32(lanes, job.to.multiplier + i), m_odd = _mm512_srli_epi64(m, 32);
            for (int64_t t = 0; t < rows; ++t) {
                const __m512i sums = _mm512_maskz_loadu_epi32(lanes, job.sums + (first + t) * job.sums_stride + i);
                __m512i x = _mm512_add_epi32(sums, _mm512_set1_epi32(more[t]));
                if (job.up > 0) x = _mm512_slli_epi32(x, unsigned(job.up));
                x = _mm512_add_epi32(x, bias);
                store_numbers(job.y + (first + t) * job.y_stride * job.storage.bytes, i, lanes, to(x, m, m_odd), job.storage);
            }
        }
    }
    return true;
}

#define FEWBIT_OWN_ROW_SUMS

// Lanes of two vectors, added in pairs.
inline __m512i lane_pairs(__m512i a, __m512i b) {
    return _mm512_add_epi64(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

// Four rows at once, if they are 16, 32 or 64 bytes long. Bytes are moved by 128, so that their sums of eight are one
// instruction.
void row_sums(const int8_t* x, int64_t n, int64_t count, int32_t* y) {
    const __m512i moved = _mm512_set1_epi8(char(0x80)), zero = _mm512_setzero_si512();
    const auto sums = [&](int64_t at) {
        return _mm512_sad_epu8(_mm512_xor_si512(_mm512_loadu_si512(x + at), moved), zero);
    };
    const __m512i heads = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i past = _mm_set1_epi32(int32_t(128 * n));
    int64_t i = 0;
    if (n == 16 || n == 32 || n == 64)
        for (; i + 4 <= count; i += 4, x += 4 * n) {
            __m512i lanes;
            if (n == 16)
                lanes = sums(0);
            else if (n == 32)
                lanes = lane_pairs(sums(0), sums(64));
            else
                lanes = lane_pairs(lane_pairs(sums(0), sums(64)), lane_pairs(sums(128), sums(192)));
            lanes = _mm512_add_epi64(lanes, _mm512_shuffle_epi32(lanes, _MM_PERM_BADC));
            const __m128i four = _mm512_castsi512_si128(_mm512_permutexvar_epi32(heads, lanes));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), _mm_sub_epi32(four, past));
        }
    for (; i < count; ++i, x += n) y[i] = byte_sum(x, n);
}

#define FEWBIT_OWN_DEPTHWISE

// 64 channels of a place. The bytes of four places of the kernel are interleaved, and moved by 128 to unsigned ones, which
// the sums of the weights take back. Interleaving works within 16 bytes, see kernels.h for the order that it gives.
inline void depthwise_quads(const Depthwise& job, const int8_t* place, int64_t first, int32_t* y) {
    const __m512i moved = _mm512_set1_epi8(char(0x80));
    const auto bytes = [&](int64_t k) {
        // Behind the last place of the kernel the weights are 0.
        const int64_t start = job.starts[k < job.kernel ? k : job.kernel - 1];
        return _mm512_xor_si512(_mm512_loadu_si512(place + start + first), moved);
    };
    const int64_t groups = (job.kernel + 3) / 4;
    const int8_t* weights = job.quads + first * groups * 4;
    __m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    for (int64_t g = 0; g < groups; ++g, weights += 256) {
        const __m512i a = bytes(4 * g), b = bytes(4 * g + 1), c = bytes(4 * g + 2), d = bytes(4 * g + 3);
        const __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
        const __m512i ab_high = _mm512_unpackhi_epi8(a, b), cd_high = _mm512_unpackhi_epi8(c, d);
        const __m512i x[4] = {_mm512_unpacklo_epi16(ab, cd), _mm512_unpackhi_epi16(ab, cd),
                              _mm512_unpacklo_epi16(ab_high, cd_high), _mm512_unpackhi_epi16(ab_high, cd_high)};
        for (int v = 0; v < 4; ++v) s[v] = _mm512_dpbusd_epi32(s[v], x[v], _mm512_load_si512(weights + 64 * v));
    }
    // Sixteen channels after sixteen again.
    const __m512i even01 = _mm512_shuffle_i32x4(s[0], s[1], 0x88), odd01 = _mm512_shuffle_i32x4(s[0], s[1], 0xdd);
    const __m512i even23 = _mm512_shuffle_i32x4(s[2], s[3], 0x88), odd23 = _mm512_shuffle_i32x4(s[2], s[3], 0xdd);
    const __m512i out[4] = {_mm512_shuffle_i32x4(even01, even23, 0x88), _mm512_shuffle_i32x4(odd01, odd23, 0x88),
                            _mm512_shuffle_i32x4(even01, even23, 0xdd), _mm512_shuffle_i32x4(odd01, odd23, 0xdd)};
    for (int i = 0; i < 4; ++i) {
        const __m512i past = _mm512_slli_epi32(_mm512_loadu_si512(job.sums + first + 16 * i), 7);
        _mm512_storeu_si512(y + first + 16 * i, _mm512_sub_epi32(out[i], past));
    }
}

#define FEWBIT_OWN_SUM

// Even and odd numbers by themselves, as in rescaled16().
constexpr int kSumBits = 8;  // kBiasBits of pointwise.inl

void sum(const WeightedSum& job, int64_t n, int32_t* y) {
    const __m512i half = _mm512_set1_epi64(job.shift > 0 ? int64_t(1) << (job.shift - 1) : 0);
    const __m512i low = _mm512_set1_epi64(job.low), high = _mm512_set1_epi64(job.high), rounding = _mm512_set1_epi64(1 << (kSumBits - 1));
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

#define FEWBIT_OWN_WEIGH

// Products of even and odd numbers without signs, rounded and shifted to 32 bits.
inline __m512i product_shifted(__m512i x, __m512i y, __m512i half, __m128i shift) {
    __m512i even = _mm512_mul_epu32(x, y), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(y, 32));
    even = _mm512_srl_epi64(_mm512_add_epi64(even, half), shift);
    odd = _mm512_srl_epi64(_mm512_add_epi64(odd, half), shift);
    return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}

// With the table of exponentials as products of two tables of 32 entries, which lie in registers.
int64_t weigh_by_factors(const Weighing& job, int32_t most) {
    constexpr int kBits = 10;  // kExpBits of norms.inl
    constexpr uint64_t kMost = 24 << kBits;
    const int to = job.exponent.shift;
    const auto multiplier = uint32_t(job.exponent.multiplier);
    const uint64_t half = to > 0 ? uint64_t(1) << (to - 1) : 0;
    // Beyond this distance a weight is 0 anyway, and the exponent could leave 32 bits.
    const uint64_t reach = multiplier == 0 ? UINT32_MAX : ((kMost << to) >> to) == kMost ? (kMost << to) / multiplier + 1 : UINT32_MAX;
    const __m512i limit = _mm512_set1_epi32(int32_t(uint32_t(reach < UINT32_MAX ? reach : UINT32_MAX)));
    const __m512i tops = _mm512_set1_epi32(most), multipliers = _mm512_set1_epi32(int32_t(multiplier));
    const __m512i halves = _mm512_set1_epi64(int64_t(half)), ends = _mm512_set1_epi32(int32_t(kMost));
    const __m128i shift = _mm_cvtsi32_si128(to), past = _mm_cvtsi32_si128(48);
    const __m512i rounding = _mm512_set1_epi64(int64_t(1) << 47), one = _mm512_set1_epi32(1);
    const auto* factors = &exp_factors;
    const __m512i coarse[2] = {_mm512_loadu_si512(factors->coarse), _mm512_loadu_si512(factors->coarse + 16)};
    const __m512i fine[2] = {_mm512_loadu_si512(factors->fine), _mm512_loadu_si512(factors->fine + 16)};
    int64_t total = 0;
    for (int64_t first = 0; first < job.count; first += kChunk) {
        const int64_t end = job.count - first < kChunk ? job.count : first + kChunk;
        __m512i sums = _mm512_setzero_si512();
        for (int64_t j = first; j < end; j += 16) {
            __mmask16 lanes = lanes_of(end - j);
            const __m512i scores = _mm512_min_epi32(_mm512_maskz_loadu_epi32(lanes, job.scores + j), tops);
            const __m512i distance = _mm512_min_epu32(_mm512_sub_epi32(tops, scores), limit);
            const __m512i u = _mm512_min_epu32(product_shifted(distance, multipliers, halves, shift), ends);
            const __m512i a = _mm512_permutex2var_epi32(coarse[0], _mm512_srli_epi32(u, 5), coarse[1]);
            const __m512i b = _mm512_permutex2var_epi32(fine[0], u, fine[1]);
            const __m512i entry = product_shifted(a, b, rounding, past), whole = _mm512_srli_epi32(u, kBits);
            const __m512i up = _mm512_srli_epi32(_mm512_sllv_epi32(one, whole), 1);
            if (job.seen != nullptr)
                lanes = _mm512_mask_test_epi32_mask(lanes, _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, job.seen + j)), one);
            const __m512i weights = _mm512_maskz_srlv_epi32(lanes, _mm512_add_epi32(entry, up), whole);
            sums = _mm512_add_epi32(sums, weights);
            lanes = lanes_of(end - j);
            _mm512_mask_cvtepi32_storeu_epi8(job.high + j, lanes, _mm512_srli_epi32(weights, 8));
            _mm512_mask_cvtepi32_storeu_epi8(job.low + j, lanes, _mm512_xor_si512(weights, _mm512_set1_epi32(128)));
        }
        total += _mm512_reduce_add_epi32(sums);
    }
    return total;
}
