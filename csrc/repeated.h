// Inputs of an operation on each number of a frame. One that is shorter than the frame is repeated.
#pragma once

#include "op.h"

namespace fewbit {

class Repeated {
public:
    // memory: room for `room(size)` numbers.
    Repeated(const Kernels& kernels, const Frames& frames, int64_t size, int32_t* memory)
        : kernels_(kernels), frames_(frames), short_(frames.size < size), memory_(memory) {}
    static int64_t room(int64_t input, int64_t size) { return input < size ? input + kChunk : kChunk; }

    // To be called before the chunks of a frame are read.
    void start(int64_t frame) {
        frame_ = frame;
        if (!short_) return;
        const int64_t n = frames_.size;
        const int32_t* once = numbers(kernels_, frames_, frame * n, n, memory_);
        if (once != memory_) std::copy_n(once, n, memory_);
        for (int64_t i = n; i < n + kChunk; ++i) memory_[i] = memory_[i - n];
    }
    // Numbers first .. first + n of the frame; n is at most kChunk.
    const int32_t* chunk(int64_t first, int64_t n) const {
        if (short_) return memory_ + first % frames_.size;
        return numbers(kernels_, frames_, frame_ * frames_.size + first, n, memory_);
    }

private:
    const Kernels& kernels_;
    const Frames& frames_;
    bool short_;
    int32_t* memory_;
    int64_t frame_ = 0;
};

// Calls chunk(first, n, y) for all numbers first .. first + n of `size` that are to be written to y, which is then packed
// behind number `at` of the frames that come out.
template <class Chunk>
void each_chunk(const Run& run, int64_t at, int64_t size, const Chunk& chunk) {
    Frames& out = *run.out;
    int32_t* memory = out.storage.bytes == 4 ? nullptr : workspace().written.get(kChunk);
    for (int64_t first = 0; first < size; first += kChunk) {
        const int64_t n = std::min(kChunk, size - first);
        int32_t* y = memory == nullptr ? reinterpret_cast<int32_t*>(out.at(at + first)) : memory;
        chunk(first, n, y);
        if (memory != nullptr) run.kernels.pack(y, n, out.storage, out.at(at + first));
    }
}

}  // namespace fewbit
