// W x for integer activations of up to 16 bits, exactly.
#pragma once

#include "kernels.h"

namespace fewbit {

// Memory that grows and is used again; its content is not kept.
template <class T>
class Buffer {
public:
    T* get(int64_t count) {
        if (count > size_) {
            lines_ = make_lines(size_t(count) * sizeof(T));
            size_ = count;
        }
        return reinterpret_cast<T*>(lines_.get());
    }

private:
    Lines lines_;
    int64_t size_ = 0;
};

// Activations (frames, padded columns) as signed bytes, and how they are to be read: x = byte + offset, or, with two
// parts, x = 256 * high + low + 128, low coming after high.
class Activations {
public:
    // x: (frames, stride) in low..high, within 16 bits.
    void take(const Kernels&, const Matrix&, const int32_t* x, int64_t frames, int64_t stride, int32_t low,
              int32_t high);
    // x: floats; each frame is divided by a step of its own, its largest magnitude / 127. False if a value is not finite.
    bool take(const Kernels&, const Matrix&, const float* x, int64_t frames, int64_t stride);

    int64_t frames = 0, stride = 0;
    int parts = 1;
    int32_t offset = 0;
    const int8_t* bytes(int part) const { return bytes_ + part * frames * stride; }
    int32_t sum(int part, int64_t frame, int64_t segment) const {
        return sums_[(part * frames + frame) * segments_ + segment];
    }
    float step(int64_t frame) const { return steps_[frame]; }

private:
    void prepare(const Matrix&, int64_t frames, int parts);

    Buffer<int8_t> byte_buffer_;
    Buffer<int32_t> sum_buffer_, split_;
    Buffer<float> step_buffer_;
    int8_t* bytes_ = nullptr;
    int32_t* sums_ = nullptr;
    float* steps_ = nullptr;
    int64_t segments_ = 1;
};

// y: (frames, y_stride), y_stride at least the padded rows of the matrix; the group scales are applied.
void multiply(const Kernels&, const Matrix&, const Activations&, int threads, int32_t* y, int64_t y_stride);

}  // namespace fewbit
