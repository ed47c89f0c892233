// Working memory of a thread. All networks share it, so a small machine holds one set.
#pragma once

#include <vector>

#include "multiply.h"
#include "number_matrix.h"

namespace fewbit {

struct Workspace {
    Activations activations;
    Buffer<int32_t> sums;                  // sums of a tile of products
    Buffer<int8_t> split, patches;         // bytes of the activations
    Buffer<int32_t> gates, back;           // of recurrent layers
    Buffer<int32_t> read, written, work;   // numbers of 32 bits around a kernel
    Buffer<int16_t> query, keys, values;   // of attention
    Buffer<int64_t> scores;
    NumberMatrix keys_as_rows;
    std::vector<NumberMatrix> values_in_parts;
    Buffer<int32_t> place_sums, window_sums;  // of bytes that a convolution reads
    Buffer<uint8_t> planes, lines, needed;  // of kept kernels
    Buffer<int64_t> outs;
    Buffer<int32_t> line_sums;
    Buffer<uint8_t> packed, line;          // frames packed for a product, and frames of a window
    Buffer<uint8_t> chain, chain_input;    // of an operation that has chains
    Buffer<int32_t> frame;
    Buffer<uint8_t> arena, joined;         // values of a network, and queued frames
};

inline Workspace& workspace() {
    thread_local Workspace only;
    return only;
}

}  // namespace fewbit
