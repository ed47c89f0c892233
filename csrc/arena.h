// Places for the values between operations in one piece of memory, by their lifetimes.
#pragma once

#include <cstdint>
#include <vector>

namespace fewbit {

// Memory that is needed while the operations first .. last run, and where it was put.
struct Lifetime {
    int64_t bytes, first, last;
    int64_t place = 0;
};

// Places all, the largest first and each in the lowest hole that fits. Returns the bytes of all.
int64_t plan_arena(std::vector<Lifetime>&);

}  // namespace fewbit
