// Between numbers as they lie in memory and integers of 32 bits. Included in the unnamed namespace of each target file.

template <class Number>
inline void widen_from(const Number* x, int32_t offset, int64_t n, int32_t* __restrict y) {
    for (int64_t i = 0; i < n; ++i) y[i] = int32_t(x[i]) + offset;
}

void widen(const uint8_t* x, Storage storage, int64_t n, int32_t* __restrict y) {
    if (storage.bytes == 1)
        widen_from(reinterpret_cast<const int8_t*>(x), storage.offset, n, y);
    else if (storage.bytes == 2)
        widen_from(reinterpret_cast<const int16_t*>(x), 0, n, y);
    else
        widen_from(reinterpret_cast<const int32_t*>(x), 0, n, y);
}

template <class Number>
inline void pack_to(const int32_t* x, int64_t n, int32_t offset, Number* __restrict y) {
    for (int64_t i = 0; i < n; ++i) y[i] = Number(uint32_t(x[i]) - uint32_t(offset));
}

void pack(const int32_t* x, int64_t n, Storage storage, uint8_t* y) {
    if (storage.bytes == 1)
        pack_to(x, n, storage.offset, reinterpret_cast<int8_t*>(y));
    else if (storage.bytes == 2)
        pack_to(x, n, 0, reinterpret_cast<int16_t*>(y));
    else
        pack_to(x, n, 0, reinterpret_cast<int32_t*>(y));
}

#ifndef FEWBIT_OWN_BYTE_SUM
int32_t byte_sum(const int8_t* x, int64_t n) {
    int32_t sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    return sum;
}
#endif

#ifndef FEWBIT_OWN_ROW_SUMS
void row_sums(const int8_t* x, int64_t n, int64_t count, int32_t* __restrict y) {
    for (int64_t i = 0; i < count; ++i) y[i] = byte_sum(x + i * n, n);
}
#endif

void split(const int16_t* x, int64_t n, int8_t* __restrict high, int8_t* __restrict low) {
    for (int64_t i = 0; i < n; ++i) {
        high[i] = int8_t(x[i] >> 8);
        low[i] = int8_t((x[i] & 255) - 128);
    }
}

void requantize(const Requantization& job) {
#ifdef FEWBIT_OWN_REQUANTIZE
    if (requantize_vectors(job)) return;
#endif
    for (int64_t t = 0; t < job.count; ++t) {
        const int32_t* sums = job.sums + t * job.sums_stride;
        uint8_t* y = job.y + t * job.y_stride * job.storage.bytes;
        const uint32_t more = job.zero_point_term(t);
        int32_t numbers[kChunk], moved[kChunk];
        for (int64_t i = 0; i < job.size; i += kChunk) {
            const int64_t n = job.size - i < kChunk ? job.size - i : kChunk;
            const int32_t* from = sums + i;
            if (more != 0 || job.bias_bits > 0) {
                for (int64_t k = 0; k < n; ++k) moved[k] = int32_t((uint32_t(from[k]) + more) << job.bias_bits);
                from = moved;
            }
            const Rescale to{job.to.multiplier + i, job.to.shift, job.to.low, job.to.high};
            rescale(from, job.bias == nullptr ? nullptr : job.bias + i, to, n, numbers);
            pack(numbers, n, job.storage, y + i * job.storage.bytes);
        }
    }
}
