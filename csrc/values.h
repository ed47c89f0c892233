// What flows between operations: frames of integers in a known range, kept in as few bytes as hold the range.
#pragma once

#include <algorithm>
#include <cstdint>

#include "limits.h"

namespace fewbit {

struct Range {
    int32_t low, high;
};

constexpr Range kInt16{-32768, 32767};
constexpr int64_t kChunk = 512;  // numbers that an operation treats at once

// How a number lies in memory: a signed byte to which `offset` is added, or 2 or 4 bytes. Zero can always be stored.
struct Storage {
    int bytes = 4;
    int32_t offset = 0;
};

inline Storage storage_of(Range range) {
    const int64_t low = std::min(range.low, 0), high = std::max(range.high, 0);
    if (low >= -128 && high <= 127) return {1, 0};
    if (high - low <= 255) return {1, int32_t(low + 128)};
    return {low >= kInt16.low && high <= kInt16.high ? 2 : 4, 0};
}

// What an operation gives: `size` integers a frame.
struct Value {
    int64_t size = 0;
    Range range{};

    bool fits_int16() const { return range.low >= kInt16.low && range.high <= kInt16.high; }
    int64_t largest() const { return std::max(-int64_t(range.low), int64_t(range.high)); }
    Storage storage() const { return storage_of(range); }
    int64_t bytes() const { return size * storage().bytes; }
};

// Frames of a value, one after the other.
struct Frames {
    uint8_t* data = nullptr;
    int64_t count = 0, size = 0;
    Storage storage{};

    uint8_t* at(int64_t number) const { return data + number * storage.bytes; }
    int64_t numbers() const { return count * size; }
};

}  // namespace fewbit
