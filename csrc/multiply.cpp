#include "multiply.h"

#include <cmath>
#include <cstring>

#include "pool.h"

namespace fewbit {
namespace {

constexpr int kGroupShift = 14;

// y = the products with the bytes of one part for one segment, and what makes them signed and centred again.
void segment_product(const Kernels& kernels, const Matrix& matrix, const Activations& x, int part, int64_t segment,
                     int32_t offset, int64_t first, int64_t last, int32_t* y, int64_t y_stride, bool add) {
    const int64_t rows = matrix.padded_rows(), row = first * kStripPanels * kPanelRows;
    const int64_t end = last * kStripPanels * kPanelRows, count = (end < rows ? end : rows) - row;
    kernels.start({matrix.row_sums.data() + segment * rows + row, offset, matrix.offset, x.sums(part, segment), count,
                   x.frames, y + row, y_stride, add});
    const Segment& columns = matrix.segments[segment];
    kernels.product({&matrix, &columns, first, last, x.bytes(part) + columns.start, x.stride, x.frames, y, y_stride,
                     x.runs});
}

void whole_segment(const Kernels& kernels, const Matrix& matrix, const Activations& x, int64_t segment, int64_t first,
                   int64_t last, int32_t* y, int64_t y_stride) {
    const int32_t moved = matrix.moved();
    segment_product(kernels, matrix, x, 0, segment, (x.parts == 1 ? x.offset : 0) - moved, first, last, y, y_stride, false);
    if (x.parts == 2) segment_product(kernels, matrix, x, 1, segment, 128 - moved, first, last, y, y_stride, true);
}

// Sums over groups, each times its scale, rounded once.
void grouped(const Kernels& kernels, const Matrix& matrix, const Activations& x, int64_t first, int64_t last,
             int32_t* y, int64_t y_stride) {
    thread_local Buffer<int32_t> part_buffer;
    thread_local Buffer<int64_t> sum_buffer;
    const int64_t rows = matrix.padded_rows(), row = first * kStripPanels * kPanelRows;
    const int64_t end = std::min(rows, last * kStripPanels * kPanelRows);
    int32_t* part = part_buffer.get(x.frames * rows);
    int64_t* sums = sum_buffer.get(x.frames * rows);
    std::memset(sums, 0, size_t(x.frames * rows) * sizeof(int64_t));
    for (size_t s = 0; s < matrix.segments.size(); ++s) {
        whole_segment(kernels, matrix, x, int64_t(s), first, last, part, rows);
        const int32_t* scale = matrix.group_scale.data() + s * rows;
        for (int64_t t = 0; t < x.frames; ++t)
            for (int64_t r = row; r < end; ++r) sums[t * rows + r] += int64_t(part[t * rows + r]) * scale[r];
    }
    for (int64_t t = 0; t < x.frames; ++t)
        for (int64_t r = row; r < end; ++r)
            y[t * y_stride + r] = int32_t((sums[t * rows + r] + (1 << (kGroupShift - 1))) >> kGroupShift);
}

}  // namespace

ByteRows byte_rows(const Kernels& kernels, const uint8_t* numbers, Storage storage, int64_t count, int64_t stride,
                   int64_t columns, Buffer<int8_t>& memory) {
    if (storage.bytes == 1)
        return {{reinterpret_cast<const int8_t*>(numbers), nullptr}, 1, storage.offset, count, stride};
    const auto* x = reinterpret_cast<const int16_t*>(numbers);
    const int64_t part = count * columns + kColumnUnit;
    int8_t *high = memory.get(2 * part), *low = high + part;
    if (stride == columns)
        kernels.split(x, count * columns, high, low);
    else
        for (int64_t t = 0; t < count; ++t)
            kernels.split(x + t * stride, columns, high + t * columns, low + t * columns);
    return {{high, low}, 2, 0, count, columns};
}

int32_t* Activations::prepare(const Matrix& matrix, int64_t count, int wanted_parts) {
    frames = count;
    parts = wanted_parts;
    segments_ = int64_t(matrix.segments.size());
    runs = kPlainRuns;
    int32_t* sums = sum_buffer_.get(parts * frames * segments_);
    sums_ = sums;
    return sums;
}

void Activations::take(const ByteRows& rows, const Runs& lines, const int32_t* sums) {
    frames = rows.count;
    parts = rows.parts;
    offset = rows.offset;
    stride = rows.stride;
    runs = lines;
    segments_ = 1;
    sums_ = sums;
    for (int part = 0; part < parts; ++part) bytes_[part] = rows.bytes[part];
}

void Activations::take(const Kernels& kernels, const Matrix& matrix, const ByteRows& rows) {
    int32_t* all_sums = prepare(matrix, rows.count, rows.parts);
    offset = rows.offset;
    const bool in_place = segments_ == 1;
    stride = in_place ? rows.stride : matrix.padded_columns();
    int8_t* copies = in_place ? nullptr : byte_buffer_.get(parts * frames * stride);
    for (int part = 0; part < parts; ++part) {
        bytes_[part] = in_place ? rows.bytes[part] : copies + part * frames * stride;
        if (matrix.offset == 0 && in_place) continue;
        for (int64_t s = 0; s < segments_; ++s) {
            const Segment& segment = matrix.segments[size_t(s)];
            int32_t* sums = all_sums + (part * segments_ + s) * frames;
            for (int64_t t = 0; t < frames; ++t) {
                const int8_t* from = rows.bytes[part] + t * rows.stride + segment.first;
                sums[t] = kernels.byte_sum(from, segment.columns);
                // Padded columns have weights of 0: what stands there does not count.
                if (!in_place)
                    std::memcpy(copies + (part * frames + t) * stride + segment.start, from, size_t(segment.columns));
            }
        }
    }
    if (matrix.offset == 0 && in_place) std::memset(all_sums, 0, size_t(parts * frames) * sizeof(int32_t));
}

bool Activations::take(const Kernels& kernels, const Matrix& matrix, const float* x, int64_t count, int64_t x_stride) {
    int32_t* sums = prepare(matrix, count, 1);
    offset = 0;
    stride = matrix.padded_columns();
    int8_t* bytes = byte_buffer_.get(frames * stride);
    bytes_[0] = bytes;
    steps_ = step_buffer_.get(frames);
    for (int64_t t = 0; t < frames; ++t) {
        const float most = kernels.largest(x + t * x_stride, matrix.columns);
        if (!std::isfinite(most)) return false;
        // Below 1e-30 the reciprocal of the step is no longer a float; such a frame counts as zero.
        steps_[t] = most > 1e-30f ? most / 127.0f : 0.0f;
        const float inverse = most > 1e-30f ? 127.0f / most : 0.0f;
        for (int64_t s = 0; s < segments_; ++s) {
            const Segment& segment = matrix.segments[s];
            int8_t* to = bytes + t * stride + segment.start;
            sums[s * frames + t] =
                kernels.quantize(x + t * x_stride + segment.first, segment.columns, inverse, to);
            std::memset(to + segment.columns, 0, size_t(segment.padded - segment.columns));
        }
    }
    return true;
}

namespace {

// Calls part(first, last) for all strips, which the threads share if there is much to do.
template <class Part>
void each_strip(const Matrix& matrix, int64_t frames, int threads, const Part& part) {
    const int64_t strips = (matrix.panels() + kStripPanels - 1) / kStripPanels;
    share(matrix.rows * matrix.columns * frames >= kWorthSharing ? threads : 1, strips, part);
}

}  // namespace

void multiply(const Kernels& kernels, const Matrix& matrix, const Activations& x, int threads, int32_t* y,
              int64_t y_stride) {
    each_strip(matrix, x.frames, threads, [&](int64_t first, int64_t last) {
        if (matrix.group_scale.empty())
            whole_segment(kernels, matrix, x, 0, first, last, y, y_stride);
        else
            grouped(kernels, matrix, x, first, last, y, y_stride);
    });
}

void do_part(const Kernels& kernels, const Matrix& matrix, Part part, int64_t frames, int threads) {
    each_strip(matrix, frames, threads, [&](int64_t first, int64_t last) {
        kernels.part({&matrix, part, first, last, frames});
    });
}

void multiply_bytes(const Kernels& kernels, const Matrix& matrix, const Activations& x, int threads, int32_t* y,
                    int64_t y_stride) {
    each_strip(matrix, x.frames, threads, [&](int64_t first, int64_t last) {
        kernels.product({&matrix, &matrix.segments[0], first, last, x.bytes(0), x.stride, x.frames, y, y_stride, x.runs,
                         true});
    });
}

}  // namespace fewbit
