// A hash of a network: a state carries it, so that the state of another network is refused.
#pragma once

#include <cstdint>
#include <cstring>

namespace fewbit {

class Fingerprint {
public:
    explicit Fingerprint(uint64_t seed) : hash_(seed) {}
    void add(uint64_t word) {
        hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15u;
        hash_ ^= hash_ >> 29;
    }
    // Bytes, and how many they are.
    void add(const void* memory, int64_t bytes) {
        const auto* from = static_cast<const uint8_t*>(memory);
        add(uint64_t(bytes));
        for (int64_t i = 0; i < bytes; i += 8) {
            uint64_t word = 0;
            std::memcpy(&word, from + i, size_t(bytes - i < 8 ? bytes - i : 8));
            add(word);
        }
    }
    uint64_t value() const { return hash_; }

private:
    uint64_t hash_;
};

}  // namespace fewbit
