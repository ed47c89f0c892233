// Windows over frames that come in chunks.
#pragma once

#include "op.h"

namespace fewbit {

// Frames that hold `count` windows, `start` being the number of the first of them in the stream: below zero, and from the
// end of the stream on, they are padding.
struct Line {
    Frames frames;
    int64_t count = 0, start = 0;
};

// State: the frames that coming windows still need, as integers of 32 bits; zero where none waits. How many wait follows
// from the number of frames that have been.
class Windows {
public:
    Windows() = default;
    // Throws std::invalid_argument unless the window can run as a stream.
    Windows(Window window, const Value& value);

    int64_t state_size() const { return (window_.reach - 1) * value_.size; }
    // The next windows; window j of them begins at frame j * stride of the line.
    Line take(const Run&, Buffer<uint8_t>& memory) const;
    const Window& window() const { return window_; }

private:
    Window window_;
    Value value_;
};

}  // namespace fewbit
