#include "windows.h"

#include <cstring>

namespace fewbit {

Windows::Windows(Window window, const Value& value) : window_(window), value_(value) {
    demand(window.reach >= 1 && window.reach <= kMaxFrameSize, "the kernel of an operation reaches over 1 to 2**24 frames");
    demand(window.stride >= 1 && window.stride <= kMaxFrameSize, "'stride' must be at least 1");
    demand(window.left >= 0 && window.left < window.reach, "'left' must lie in 0..reach - 1");
    demand(window.right >= 0 && window.right < window.reach, "'right' must lie in 0..reach - 1");
}

Line Windows::take(const Run& run, Buffer<uint8_t>& memory) const {
    const Frames& in = run.in[0];
    const int64_t reach = window_.reach, stride = window_.stride, size = value_.size;
    if (reach == 1 && stride == 1) return {in, in.count, run.before};
    const int64_t done = window_.complete(run.before), start = done * stride - window_.left;
    // Frames of the past that are still needed, or of the present that are not.
    const int64_t waiting = std::max<int64_t>(run.before - start, 0);
    const int64_t skipped = std::min(std::max<int64_t>(start - run.before, 0), in.count), fresh = in.count - skipped;
    const int64_t behind = run.last ? window_.right : 0, real = waiting + fresh, all = real + behind;
    Frames line{memory.get((all * size) * in.storage.bytes + kColumnUnit), all, size, in.storage};
    run.kernels.pack(run.state, waiting * size, in.storage, line.data);
    std::memcpy(line.at(waiting * size), in.at(skipped * size), size_t(fresh * size * in.storage.bytes));
    // Zero: a byte that stands for 0, or two or four bytes of zero.
    std::memset(line.at(real * size), in.storage.bytes == 1 ? int(uint8_t(-in.storage.offset)) : 0,
                size_t(behind * size * in.storage.bytes));
    const int64_t count = all < reach ? 0 : (all - reach) / stride + 1;
    if (!run.last) {
        const int64_t next = (done + count) * stride - window_.left;
        const int64_t left = std::max<int64_t>(run.before + in.count - next, 0);
        run.kernels.widen(line.at((real - left) * size), in.storage, left * size, run.state);
        std::fill(run.state + left * size, run.state + state_size(), 0);
    }
    return {line, count, start};
}

}  // namespace fewbit
