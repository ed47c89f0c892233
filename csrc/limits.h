// How large the parts of a network may be. fewbit.program.limits states the same limits for Python; a test compares them.
#pragma once

#include <cstdint>

namespace fewbit {

constexpr int64_t kMaxFrameSize = 1 << 24;           // numbers of a frame; also sides of matrices, windows and grids
constexpr int64_t kMaxRate = 1 << 24;                // input frames for one frame of a value
constexpr int64_t kMaxInputs = 1 << 12;              // values that an operation reads
constexpr int64_t kMaxKeys = 1 << 20;                // frames that attention keeps
constexpr int64_t kMaxWindow = 1 << 15;              // numbers that one result of a pooling comes from
constexpr int64_t kMaxNorm = 1 << 16;                // numbers that are normalized together
constexpr int64_t kMaxSquares = 16;                  // values that a magnitude reads
constexpr int32_t kMaxBias = 1 << 30;                // magnitude of a bias: a sum below it fits 32 bits with its bias
constexpr int64_t kMaxBiasBits = 16;                 // binary places of a bias
constexpr int kMaxShift = 62;                        // of a rescaling: a product of 63 bits keeps its sign
constexpr int32_t kMaxExponentMultiplier = 1 << 16;  // of a softmax
constexpr int32_t kMaxGroupScale = 1 << 14;          // of a group of columns: 1.0

}  // namespace fewbit
