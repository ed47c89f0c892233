// Loops over the channels of a place. Included in the unnamed namespace of each target file.

template <class Number>
inline void gather_from(const Number* x, int32_t offset, bool maximum, int64_t n, int32_t* __restrict y) {
    if (maximum)
        for (int64_t i = 0; i < n; ++i) y[i] = int32_t(x[i]) + offset > y[i] ? int32_t(x[i]) + offset : y[i];
    else
        for (int64_t i = 0; i < n; ++i) y[i] += int32_t(x[i]) + offset;
}

void gather(const uint8_t* x, Storage storage, bool maximum, int64_t n, int32_t* y) {
    if (storage.bytes == 1)
        gather_from(reinterpret_cast<const int8_t*>(x), storage.offset, maximum, n, y);
    else
        gather_from(reinterpret_cast<const int16_t*>(x), 0, maximum, n, y);
}

// Some windows at a time, whose sums stay in registers.
template <int64_t kCount>
inline void some_window_sums(const WindowSums& job, int64_t first) {
    int32_t sums[kCount] = {};
    for (int64_t r = 0; r < job.runs; ++r)
        for (int64_t j = 0; j < job.neighbours; ++j) {
            const int32_t* __restrict x = job.x + first * job.step + job.starts[r] + j;
            if (job.step == 1)
                for (int64_t i = 0; i < kCount; ++i) sums[i] += x[i];
            else
                for (int64_t i = 0; i < kCount; ++i) sums[i] += x[i * job.step];
        }
    for (int64_t i = 0; i < kCount; ++i) job.y[first + i] = sums[i];
}

void window_sums(const WindowSums& job) {
    int64_t first = 0;
    for (; job.count - first >= 16; first += 16) some_window_sums<16>(job, first);
    for (; job.count - first >= 4; first += 4) some_window_sums<4>(job, first);
    for (; first < job.count; ++first) some_window_sums<1>(job, first);
}

// kCount channels from `first` on, whose sums stay in registers.
template <int64_t kCount>
inline void depthwise_channels(const Depthwise& job, const int8_t* place, int64_t first, int32_t* __restrict y) {
    uint32_t sums[kCount] = {};  // they may wrap
    for (int64_t k = 0; k < job.kernel; ++k) {
        const int8_t* __restrict x = place + job.starts[k] + first;
        const int16_t* __restrict weights = job.weights + k * job.channels + first;
        for (int64_t i = 0; i < kCount; ++i) sums[i] += uint32_t(int32_t(x[i]) * int32_t(weights[i]));
    }
    for (int64_t i = 0; i < kCount; ++i) y[first + i] = int32_t(sums[i]);
}

void depthwise(const Depthwise& job) {
    for (int64_t p = 0; p < job.places; ++p) {
        const int8_t* x = job.x + p * job.step;
        int32_t* y = job.y + p * job.channels;
        int64_t first = 0;
#ifdef FEWBIT_OWN_DEPTHWISE
        if (job.quads != nullptr)
            for (; job.channels - first >= 64; first += 64) depthwise_quads(job, x, first, y);
#endif
        for (; job.channels - first >= 64; first += 64) depthwise_channels<64>(job, x, first, y);
        for (; job.channels - first >= 16; first += 16) depthwise_channels<16>(job, x, first, y);
        for (; first < job.channels; ++first) depthwise_channels<1>(job, x, first, y);
    }
}
