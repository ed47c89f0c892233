// Loops of a constant length, written out by the compiler: unrolled<3>(f) is f(0); f(1); f(2) with constants.
// Included in the unnamed namespace of each target file.

template <int kValue>
struct Constant {
    constexpr operator int() const { return kValue; }
};

template <int kCount, int kFirst = 0, class Body>
__attribute__((always_inline)) inline void unrolled(const Body& body) {
    if constexpr (kFirst < kCount) {
        body(Constant<kFirst>{});
        unrolled<kCount, kFirst + 1>(body);
    }
}
