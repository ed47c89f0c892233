// Threads that wait for work of microseconds.
#pragma once

#include <cstdint>
#include <functional>

namespace fewbit {

// Calls work(first, last) for parts of 0..count on up to `threads` threads, the caller's among them, and returns when
// all are done. The threads are shared by the whole process: while they are busy for another caller, or after a fork,
// the caller does all of it. A part is a range of whole pieces.
void share(int threads, int64_t count, const std::function<void(int64_t, int64_t)>& work);

}  // namespace fewbit
