// Random numbers, and what the integers of docs/internals/numerics.md are, in plain loops of 64 bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "../c_api.h"

namespace {

using Codes = std::vector<int32_t>;
constexpr int32_t kMost32 = std::numeric_limits<int32_t>::max(), kLeast32 = std::numeric_limits<int32_t>::min();

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "DIFFERENT: %s\n", what.c_str());
    std::exit(1);
}

void demand(bool right, const std::string& what) {
    if (!right) fail(what);
}

template <class... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {  // splitmix64
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    int64_t between(int64_t low, int64_t high) { return low + int64_t(next() % uint64_t(high - low + 1)); }
    bool chance(int percent) { return between(0, 99) < percent; }
    double real(double low, double high) { return low + (high - low) * double(next() >> 11) * 0x1p-53; }
    template <class Number>
    Number choose(std::initializer_list<Number> list) { return *(list.begin() + between(0, int64_t(list.size()) - 1)); }
    template <class List>
    auto choose(const List& list) { return *(std::begin(list) + between(0, int64_t(std::size(list)) - 1)); }

private:
    uint64_t state_;
};

struct Range {
    int32_t low, high;
    int64_t magnitude() const { return std::max(-int64_t(low), int64_t(high)); }
};
std::string text(const Range& range) { return text(range.low, "..", range.high); }

// Numbers of a range: any, one of its ends, both in turn, or few that are not zero.
template <class Number>
void fill(Random& random, std::vector<Number>& numbers, Range range) {
    const int64_t kind = random.between(0, 9);
    for (size_t i = 0; i < numbers.size(); ++i) {
        int64_t number = random.between(range.low, range.high);
        if (kind == 0) number = range.low;
        if (kind == 1) number = range.high;
        if (kind == 2) number = i % 2 ? range.low : range.high;
        if (kind == 3 && range.low <= 0 && range.high >= 0 && !random.chance(5)) number = 0;
        if (kind == 4) number = random.chance(50) ? range.low : range.high;
        numbers[i] = Number(number);
    }
}

int64_t saturate(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }
int64_t saturate16(int64_t x) { return saturate(x, -32768, 32767); }
int64_t shift_round(int64_t x, int shift) { return shift > 0 ? (x + (int64_t(1) << (shift - 1))) >> shift : x; }

// Numbers that stand for the other tables, which only the order of operations uses here.
Codes some_points(int64_t count) {
    Codes points(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) points[size_t(i)] = int32_t(std::lround(32767 * std::exp2(-double(i) / double(count))));
    return points;
}

const Codes& table() {
    static const Codes entries = [] {
        Codes list(1025);
        for (int i = 0; i < 1025; ++i) list[i] = int32_t(std::min(std::round(std::tanh(i / 256.0) * 32768), 32767.0));
        return list;
    }();
    return entries;
}
int64_t looked_up(int64_t x, int shift) {
    const int64_t value = table()[size_t(std::min<int64_t>(shift_round(std::abs(x), shift), 1024))];
    return x < 0 ? -value : value;
}
int64_t tanh15(int64_t x) { return looked_up(x, 4); }
int64_t sigmoid15(int64_t x) { return (32768 + looked_up(x, 5)) >> 1; }
int64_t mix(int64_t gate, int64_t kept, int64_t fresh) {
    return shift_round(gate * kept + (32768 - gate) * fresh, 15);
}

struct Rescale {
    Codes multiplier;
    int shift = 0;
    Range range{};
    int64_t operator()(int64_t x, int64_t i) const {
        const int64_t by = multiplier[multiplier.size() == 1 ? 0 : size_t(i)];
        return saturate(shift_round(x * by, shift), range.low, range.high);
    }
};

}  // namespace
