#include "linear.h"

#include <cmath>

namespace fewbit {

bool results_fit_int32(const Matrix& matrix, int64_t count, int64_t largest, const std::vector<int32_t>& bias,
                        const OwnedRescale& rescale, int bias_bits) {
    int bits = 0;
    for (const Plane& plane : matrix.planes) bits += plane.bits;
    const int64_t code = matrix.in_pairs() ? 1 : matrix.moved() != 0 ? 128 : std::max<int64_t>(matrix.offset, (1 << bits) - 1 - matrix.offset);
    double most = 0, factor = 0;
    for (int32_t each : bias) most = std::max(most, std::abs(double(each)));
    for (int32_t each : rescale.multiplier) factor = std::max(factor, std::abs(double(each)));
    // A quarter of the room is left for rounding, here and there.
    const double sum = std::ldexp(double(count) * double(code) * double(largest), bias_bits) + most;
    return sum * factor < std::ldexp(1.5, 30 + rescale.shift);
}

Linear::Linear(std::shared_ptr<const Matrix> matrix, std::vector<int32_t> bias, OwnedRescale rescale,
               const Value& reads, int bias_bits)
    : matrix_(std::move(matrix)), bias_(std::move(bias)), rescale_(std::move(rescale)), reads_(reads.storage()),
      bias_bits_(bias_bits) {
    demand(reads.fits_int16(), "a product of numbers that leave 16 bits");
    demand(bias_.empty() || int64_t(bias_.size()) == matrix_->rows, "'bias' has no entry for each row");
    for (int32_t bias : bias_)
        demand(bias >= -kMaxBias && bias <= kMaxBias, "'bias' holds a magnitude above 2**30");
    fits_int32_ = results_fit_int32(*matrix_, matrix_->columns, reads.largest(), bias_, rescale_, bias_bits);
    of_bytes_ = reads_.bytes == 1 && matrix_->group_scale.empty();
    const int32_t past = reads_.offset - matrix_->moved();
    if (of_bytes_ && past != 0) {
        bias_.resize(size_t(matrix_->rows), 0);
        for (size_t r = 0; r < bias_.size(); ++r)
            bias_[r] = int32_t(uint32_t(bias_[r]) +
                               ((uint32_t(matrix_->row_sums[r]) * uint32_t(past)) << bias_bits));
    }
    if (matrix_->rows != matrix_->padded_rows() || bias_.empty()) return;
    copies_ = std::max<int64_t>(kChunk / 2 / matrix_->rows, 1);
    const size_t rows = bias_.size();
    for (size_t i = rows; i < rows * size_t(copies_); ++i) {
        bias_.push_back(bias_[i - rows]);
        rescale_.multiplier.push_back(rescale_.multiplier[i - rows]);
    }
}

void Linear::run_tile(const Kernels& kernels, int threads, const ByteRows& x, const Target& y) const {
    Activations& activations = workspace().activations;
    activations.take(kernels, *matrix_, x);
    run_tile(kernels, threads, activations, y);
}

void Linear::run_tile(const Kernels& kernels, int threads, const Activations& x, const Target& y) const {
    const int64_t stride = matrix_->padded_rows();
    int32_t* sums = workspace().sums.get(x.frames * stride);
    const int32_t* bias = bias_.empty() ? nullptr : bias_.data();
    if (of_bytes_) {
        multiply_bytes(kernels, *matrix_, x, threads, sums, stride);
        if (matrix_->offset != 0) {
            kernels.requantize({sums, stride, bias, rescale_.view(), matrix_->rows, x.frames, y.data, y.stride,
                                y.storage, fits_int32_, x.sums(0, 0), matrix_->offset, bias_bits_});
            return;
        }
    } else {
        multiply(kernels, *matrix_, x, threads, sums, stride);
    }
    int64_t together = y.stride == stride ? x.frames / copies_ * copies_ : 0;
    if (copies_ == 1) together = 0;
    if (together > 0)
        kernels.requantize({sums, stride * copies_, bias, rescale_.view(), stride * copies_, together / copies_, y.data,
                            stride * copies_, y.storage, fits_int32_, nullptr, 0, bias_bits_});
    kernels.requantize({sums + together * stride, stride, bias, rescale_.view(), matrix_->rows, x.frames - together,
                        y.from(together).data, y.stride, y.storage, fits_int32_, nullptr, 0, bias_bits_});
}

void Linear::run(const Kernels& kernels, int threads, const ByteRows& x, const Target& y) const {
    const auto tile = [&](int64_t first, int64_t count, int sharing) {
        run_tile(kernels, sharing, x.from(first, count), y.from(first));
    };
    if (share_tiles(threads, x.count, matrix_->rows * matrix_->columns,
                    [&](int64_t first, int64_t count) { tile(first, count, 1); }))
        return;
    for (int64_t first = 0; first < x.count; first += kTile) tile(first, std::min(kTile, x.count - first), threads);
}

void Linear::run_integers(const Kernels& kernels, int threads, const int32_t* x, int64_t count,
                          const Target& y) const {
    Workspace& scratch = workspace();
    const int64_t columns = matrix_->columns;
    uint8_t* packed = scratch.packed.get(count * columns * reads_.bytes + kColumnUnit);
    kernels.pack(x, count * columns, reads_, packed);
    run(kernels, threads, byte_rows(kernels, packed, reads_, count, columns, columns, scratch.split), y);
}

}  // namespace fewbit
