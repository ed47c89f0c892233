// Plain C++, for every machine.
#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"

// One row of four bytes. See product.inl for the contract.
struct Scalar {
    using Words = uint32_t;
    using Sums = uint32_t;  // unsigned: sums wrap
    static constexpr int kBytes = 4, kSums = 0, kFrames = 4;
    static constexpr bool kScaled = false;

    template <int kT>
    static constexpr int panels() { return 1; }

    static Sums zero() { return 0; }
    template <class Register>
    static void keep(Register& v) { asm volatile("" : "+r"(v)); }
    static Words load(const uint8_t* line) {
        Words v;
        __builtin_memcpy(&v, line, 4);
        return v;
    }
    template <int kBits, int kField>
    static Words mask(Words v) { return v; }
    template <int kBits, int kField>
    static Words field(Words v) {
        return (v >> (kBits * kField)) & (((1u << kBits) - 1) * 0x01010101u);
    }
    template <int kBits>
    static Sums dot(Sums sum, Words u, const int8_t* x) {
        for (int c = 0; c < 4; ++c) {
            // Byte c in memory, whatever the order of bytes.
            uint8_t byte;
            __builtin_memcpy(&byte, reinterpret_cast<const char*>(&u) + c, 1);
            sum += Sums(int32_t(byte) * x[c]);
        }
        return sum;
    }
    static Sums dot_signed(Sums sum, Words w, const int8_t* x) {
        for (int c = 0; c < 4; ++c) {
            int8_t byte;
            __builtin_memcpy(&byte, reinterpret_cast<const char*>(&w) + c, 1);
            sum += Sums(int32_t(byte) * uint8_t(x[c]));
        }
        return sum;
    }
    static Sums plus(Sums a, Sums b) { return a + b; }
    static Sums right(Sums sum, int) { return sum; }
    static void add(int32_t* y, Sums sum, int shift, bool fresh) {
        *y = int32_t((fresh ? 0u : uint32_t(*y)) + (sum << shift));
    }
};

#include "product.inl"
#include "parts.inl"
#include "target.inl"

bool runs_here() { return true; }

}  // namespace

extern const Kernels scalar_kernels;
const Kernels scalar_kernels FEWBIT_KERNELS("scalar", product<Scalar>, product_part<Scalar>, read_lines<Scalar>, kept_product<Scalar>, 1.0, 1.0, kSlowColumns);

}  // namespace fewbit
