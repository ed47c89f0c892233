// W x + bias, rescaled: what dense layers, convolutions and the gates of recurrent layers have in common.
#pragma once

#include "op.h"
#include "pool.h"

namespace fewbit {

constexpr int64_t kTile = 64;  // rows that are multiplied at once, at most

// Where results lie: rows `stride` numbers apart.
struct Target {
    uint8_t* data;
    int64_t stride;
    Storage storage;
    Target from(int64_t row) const { return {data + row * stride * storage.bytes, stride, storage}; }
};

// Whether sums of `count` products of numbers up to `largest` and codes of a matrix, 2**bias_bits times, plus a bias, fit
// 32 bits once rescaled.
bool results_fit_int32(const Matrix&, int64_t count, int64_t largest, const std::vector<int32_t>& bias,
                        const OwnedRescale&, int bias_bits = 0);

class Linear {
public:
    Linear() = default;
    // bias may be empty, and counts 2**-bias_bits of a sum. reads: what is multiplied.
    Linear(std::shared_ptr<const Matrix> matrix, std::vector<int32_t> bias, OwnedRescale rescale, const Value& reads,
           int bias_bits = 0);

    // y = rescale(2**bias_bits * W x + bias), row by row.
    void run(const Kernels&, int threads, const ByteRows& x, const Target& y) const;
    // The same for rows of integers of 32 bits.
    void run_integers(const Kernels&, int threads, const int32_t* x, int64_t count, const Target& y) const;
    // The same on this thread, for at most kTile rows.
    void run_tile(const Kernels&, int threads, const ByteRows& x, const Target& y) const;
    void run_tile(const Kernels&, int threads, const Activations& x, const Target& y) const;

    const Matrix& matrix() const { return *matrix_; }

private:
    std::shared_ptr<const Matrix> matrix_;
    std::vector<int32_t> bias_;  // includes the zero-point correction where the products are those of bytes
    OwnedRescale rescale_;
    int64_t copies_ = 1;  // of bias and multipliers: so many short rows are requantized as one
    Storage reads_{};
    bool of_bytes_ = false;  // see multiply_bytes
    bool fits_int32_ = false;  // see Requantization
    int bias_bits_ = 0;
};

// Calls tile(first, count) for all rows, in tiles that the threads share if there is enough to do: `each` multiplications
// for a row. False, and no calls, if there are too few tiles for the threads.
template <class Tile>
bool share_tiles(int threads, int64_t rows, int64_t each, const Tile& tile) {
    const int64_t tiles = (rows + kTile - 1) / kTile;
    if (threads < 2 || tiles < 2 * threads || rows * each < kWorthSharing) return false;
    share(threads, tiles, [&](int64_t first, int64_t last) {
        for (int64_t i = first; i < last; ++i) tile(i * kTile, std::min(kTile, rows - i * kTile));
    });
    return true;
}

}  // namespace fewbit
