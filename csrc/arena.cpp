#include "arena.h"

#include <algorithm>
#include <numeric>

namespace fewbit {

int64_t plan_arena(std::vector<Lifetime>& all) {
    constexpr int64_t kUnit = 16;  // every place is a multiple of it
    std::vector<size_t> order(all.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return all[a].bytes > all[b].bytes; });
    std::vector<size_t> placed;  // in the order of their places
    int64_t total = 0;
    for (size_t i : order) {
        Lifetime& each = all[i];
        each.bytes = (each.bytes + kUnit - 1) / kUnit * kUnit;
        each.place = 0;
        for (size_t k : placed) {
            const Lifetime& other = all[k];
            if (other.last < each.first || other.first > each.last) continue;
            if (other.place >= each.place + each.bytes) break;  // a hole that fits
            each.place = std::max(each.place, other.place + other.bytes);
        }
        const auto behind = [&](size_t a, size_t b) { return all[a].place < all[b].place; };
        placed.insert(std::upper_bound(placed.begin(), placed.end(), i, behind), i);
        total = std::max(total, each.place + each.bytes);
    }
    return total;
}

}  // namespace fewbit
