// The operations of a Network. Arrays are checked by the caller (c_api.cpp).
#pragma once

#include "network.h"

namespace fewbit {

// W x + bias, rescaled; x in `inputs`.
struct Linear {
    std::shared_ptr<const Matrix> matrix;
    std::vector<int32_t> bias;  // empty: none
    OwnedRescale rescale;
    Range inputs;

    // y: (frames, rows), stride given.
    void run(const int32_t* x, int64_t frames, int64_t stride, Workshop&, int32_t* y, int64_t y_stride) const;
};

std::unique_ptr<Op> make_requantize(int64_t width, OwnedRescale rescale);
// kernel 1 and stride 1: a dense layer.
std::unique_ptr<Op> make_conv(Linear linear, int64_t kernel, int64_t stride);

struct SruOutput {
    int32_t cell_multiplier, skip_multiplier;
    int shift;
    Range range;
};
std::unique_ptr<Op> make_sru(Linear linear, int64_t hidden, SruOutput output);
std::unique_ptr<Op> make_qrnn(Linear linear, int64_t hidden, int64_t kernel, OwnedRescale output);
std::unique_ptr<Op> make_lstm(Linear linear, Linear back, int64_t hidden, OwnedRescale output);
std::unique_ptr<Op> make_gru(Linear linear, Linear back, int64_t hidden, std::vector<int32_t> bias_hidden,
                             OwnedRescale output);

using Chain = std::vector<std::unique_ptr<Op>>;
// Three chains with two clocks; a frame ends a word where one of the columns `boundaries` is above 0. See ops.Hierarchy.
struct Hierarchy {
    std::vector<int32_t> boundaries;
    bool direct;
    Chain letters, words, spelling;
};
std::unique_ptr<Op> make_hierarchy(Hierarchy, int64_t inputs);

}  // namespace fewbit
