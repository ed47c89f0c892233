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

// kCount channels from `first` on, whose sums stay in registers.
template <class Number, int64_t kCount>
inline void depthwise_channels(const Depthwise& job, int64_t first) {
    uint32_t sums[kCount] = {};
    const int32_t offset = job.storage.offset;
    for (int64_t k = 0; k < job.kernel; ++k) {
        if (job.x[k] == nullptr) continue;
        const Number* __restrict x = reinterpret_cast<const Number*>(job.x[k]) + first;
        const int16_t* __restrict weights = job.weights + k * job.channels + first;
        for (int64_t i = 0; i < kCount; ++i) sums[i] += uint32_t((int32_t(x[i]) + offset) * int32_t(weights[i]));
    }
    for (int64_t i = 0; i < kCount; ++i) job.y[first + i] = int32_t(sums[i]);
}

template <class Number>
inline void depthwise_of(const Depthwise& job) {
    int64_t first = 0;
    for (; job.channels - first >= 64; first += 64) depthwise_channels<Number, 64>(job, first);
    for (; job.channels - first >= 16; first += 16) depthwise_channels<Number, 16>(job, first);
    for (; first < job.channels; ++first) depthwise_channels<Number, 1>(job, first);
}

void depthwise(const Depthwise& job) {
    if (job.storage.bytes == 1)
        depthwise_of<int8_t>(job);
    else
        depthwise_of<int16_t>(job);
}
