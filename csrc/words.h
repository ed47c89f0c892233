// Numbers of 64 bits in a state of 32-bit integers.
#pragma once

#include <cstdint>

namespace fewbit {

inline int64_t read_word(const int32_t* words) {
    return int64_t(uint64_t(uint32_t(words[0])) | uint64_t(uint32_t(words[1])) << 32);
}

inline void write_word(int32_t* words, int64_t number) {
    words[0] = int32_t(uint32_t(uint64_t(number)));
    words[1] = int32_t(uint32_t(uint64_t(number) >> 32));
}

// The largest frame count of a stream that is accepted: adding the next frames cannot overflow it.
constexpr int64_t kMaxFrames = int64_t(1) << 60;
inline bool is_count(int64_t frames) { return frames >= 0 && frames <= kMaxFrames; }

}  // namespace fewbit
