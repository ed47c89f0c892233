// W x for integer activations of up to 16 bits, exactly.
#pragma once

#include "kernels.h"

namespace fewbit {

// Memory that grows and is reused; its content is not kept.
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

// Multiplications worth sharing: one thread finishes fewer before another has started.
constexpr int64_t kWorthSharing = 1 << 20;

// Rows of integers as signed bytes: x = byte + offset, or, with two parts, x = 256 * high + low + 128. Behind the last
// row, kColumnUnit bytes may be read, whatever is in them.
struct ByteRows {
    const int8_t* bytes[2] = {nullptr, nullptr};
    int parts = 1;
    int32_t offset = 0;
    int64_t count = 0, stride = 0;

    ByteRows from(int64_t row, int64_t rows) const {
        ByteRows some = *this;
        for (int part = 0; part < parts; ++part) some.bytes[part] += row * stride;
        some.count = rows;
        return some;
    }
};

// Numbers in memory as such rows: they stay where they are, or are split into two parts in `memory`.
ByteRows byte_rows(const Kernels&, const uint8_t* numbers, Storage, int64_t count, int64_t stride, int64_t columns,
                   Buffer<int8_t>& memory);

// What a matrix multiplies: rows of bytes, in the order of its padded columns, and their sums.
class Activations {
public:
    // Keeps the rows where they are, if the columns of the matrix are one segment.
    void take(const Kernels&, const Matrix&, const ByteRows&);
    // x: floats (frames, stride); each frame is divided by a step of its own, its largest magnitude / 127. False if a value
    // is not finite.
    bool take(const Kernels&, const Matrix&, const float* x, int64_t frames, int64_t stride);
    // Keeps rows that lie in lines and runs, with the sums of their bytes: one vector of `count` for each part.
    void take(const ByteRows&, const Runs&, const int32_t* sums);

    int64_t frames = 0, stride = 0;
    int parts = 1;
    int32_t offset = 0;
    Runs runs = kPlainRuns;
    const int8_t* bytes(int part) const { return bytes_[part]; }
    // Sums of the bytes of one part in one segment, frame after frame.
    const int32_t* sums(int part, int64_t segment) const { return sums_ + (part * segments_ + segment) * frames; }
    float step(int64_t frame) const { return steps_[frame]; }

private:
    // Returns memory for the sums.
    int32_t* prepare(const Matrix&, int64_t frames, int parts);

    Buffer<int8_t> byte_buffer_;
    Buffer<int32_t> sum_buffer_;
    Buffer<float> step_buffer_;
    const int8_t* bytes_[2] = {nullptr, nullptr};
    const int32_t* sums_ = nullptr;
    float* steps_ = nullptr;
    int64_t segments_ = 1;
};

// y: (frames, y_stride), y_stride at least the padded rows of the matrix; the group scales are applied.
void multiply(const Kernels&, const Matrix&, const Activations&, int threads, int32_t* y, int64_t y_stride);

// The same for rows of one part, without groups, and without the zero-point correction: row r of frame t still needs
// matrix.row_sums[r] * (x.offset - matrix.moved()) - matrix.offset * x.sums(0, 0)[t].
void multiply_bytes(const Kernels&, const Matrix&, const Activations&, int threads, int32_t* y, int64_t y_stride);

// One part of that work, to measure it.
void do_part(const Kernels&, const Matrix&, Part, int64_t frames, int threads);

}  // namespace fewbit
