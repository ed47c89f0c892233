// The recurrences of training: loops over channels that the compiler turns into vectors.
#include "training.h"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

#include "pool.h"

#define FEWBIT_INLINE inline __attribute__((always_inline))
// No channel reads what another writes.
#if defined(__clang__)
#define FEWBIT_APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define FEWBIT_APART _Pragma("GCC ivdep")
#endif

namespace fewbit {
namespace {

template <class Real, int kTerms>
constexpr std::array<Real, kTerms + 1> inverse_factorials() {
    std::array<Real, kTerms + 1> inverse{1};
    double factorial = 1;
    for (int k = 1; k <= kTerms; ++k) inverse[size_t(k)] = Real(1 / (factorial *= k));
    return inverse;
}

template <class Real>
struct Constants;

template <>
struct Constants<float> {
    using Bits = uint32_t;
    static constexpr int kMantissa = 23;
    static constexpr float kRound = 12582912.0f;  // 1.5 * 2**23: what is added to it loses its fraction
    static constexpr float kLn2 = 0.693145751953125f, kLn2Rest = 1.42860677e-6f;  // the first has 15 bits
    static constexpr float kMost = 87.0f, kTanhMost = 20.0f;
    static constexpr int kTerms = 7;
    static constexpr auto kInverseFactorials = inverse_factorials<float, kTerms>();
};

template <>
struct Constants<double> {
    using Bits = uint64_t;
    static constexpr int kMantissa = 52;
    static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2**52
    static constexpr double kLn2 = 0.693147180369123816490, kLn2Rest = 1.90821492927058770002e-10;  // 32 bits
    static constexpr double kMost = 708.0, kTanhMost = 44.0;
    static constexpr int kTerms = 13;
    static constexpr auto kInverseFactorials = inverse_factorials<double, kTerms>();
};

// kOnce: a product and a sum are rounded once, where the machine has an instruction for it.
template <class Real, bool kOnce>
struct Math {
    using C = Constants<Real>;
    using Bits = typename C::Bits;

    static FEWBIT_INLINE Real add(Real x, Real y, Real sum) {
        if constexpr (!kOnce)
            return x * y + sum;
        else if constexpr (sizeof(Real) == 4)
            return __builtin_fmaf(x, y, sum);
        else
            return __builtin_fma(x, y, sum);
    }

    // NaN stays NaN.
    static FEWBIT_INLINE Real within(Real x, Real most) {
        const Real low = x < -most ? -most : x;
        return low > most ? most : low;
    }

    // exp(x) = power + power * rest: a power of two, and exp(r) - 1 for |r| <= ln(2) / 2 by its Taylor series, which
    // leaves 5e-9 (float) or 5e-18 (double) away. |x| <= C::kMost.
    static FEWBIT_INLINE void exponential(Real x, Real& power, Real& rest) {
        const Real rounded = add(x, Real(1.44269504088896340736), C::kRound), n = rounded - C::kRound;
        const Real r = add(-n, C::kLn2Rest, add(-n, C::kLn2, x));
        power = std::bit_cast<Real>((std::bit_cast<Bits>(rounded) << C::kMantissa) + std::bit_cast<Bits>(Real(1)));
        Real series = C::kInverseFactorials[C::kTerms];
        for (int k = C::kTerms; k-- > 2;) series = add(series, r, C::kInverseFactorials[k]);
        rest = add(r * r, series, r);
    }

    static FEWBIT_INLINE Real sigmoid(Real x) {
        Real power, rest;
        exponential(within(-x, C::kMost), power, rest);
        return 1 / (1 + add(power, rest, power));
    }

    // By exp(2x) - 1, which keeps the digits of small x.
    static FEWBIT_INLINE Real tanh(Real x) {
        Real power, rest;
        exponential(within(x + x, C::kTanhMost), power, rest);
        const Real less_one = add(power, rest, power - 1);
        return less_one / (less_one + 2);
    }

    // f * kept + (1 - f) * fresh, exact at both ends (as torch.lerp).
    static FEWBIT_INLINE Real mix(Real f, Real kept, Real fresh) {
        const Real step = kept - fresh;
        return f < Real(0.5) ? add(f, step, fresh) : add(step, f - 1, kept);
    }
};

template <class Real>
FEWBIT_INLINE void copy_or_clear(const Real* from, int64_t first, int64_t last, Real* to) {
    if (from != nullptr)
        std::copy(from + first, from + last, to + first);
    else
        std::fill(to + first, to + last, Real(0));
}

// Asks for a row while the one before it is at work: rows are too short for the machine to guess where they go on.
template <bool kToWrite, class Real>
FEWBIT_INLINE void fetch(const Real* row, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i += int64_t(64 / sizeof(Real))) __builtin_prefetch(row + i, kToWrite, 2);
}

template <class Real>
struct SruForward {
    const fewbit_extent& e;
    const Real *gates, *bias, *skip, *start;
    Real *y, *end;

    template <bool kOnce>
    FEWBIT_INLINE void channels(int64_t first, int64_t last) const {
        using M = Math<Real, kOnce>;
        const int64_t n = e.channels, blocks = skip == nullptr ? 4 : 3;
        const Real *forget_bias = bias, *reset_bias = bias + n;
        for (int64_t b = 0; b < e.batch; ++b) {
            Real* __restrict c = end + b * n;
            std::copy(start + b * n + first, start + b * n + last, c + first);
            for (int64_t row = b * e.frames; row < (b + 1) * e.frames; ++row) {
                const Real *z = gates + row * blocks * n, *f = z + n, *r = z + 2 * n;
                const Real* past = skip == nullptr ? z + 3 * n : skip + row * n;
                Real* __restrict h = y + row * n;
                if (row + 1 < e.batch * e.frames) {
                    for (const Real* next : {z, f, r}) fetch<false>(next + blocks * n, first, last);
                    fetch<false>(skip == nullptr ? past + 4 * n : past + n, first, last);
                }
                FEWBIT_APART for (int64_t i = first; i < last; ++i) {
                    const Real cell = M::mix(M::sigmoid(f[i] + forget_bias[i]), c[i], z[i]);
                    c[i] = cell;
                    h[i] = M::mix(M::sigmoid(r[i] + reset_bias[i]), M::tanh(cell), past[i]);
                }
            }
        }
    }
};

template <class Real>
struct SruBackward {
    const fewbit_extent& e;
    const Real *gates, *bias, *skip, *start, *error_y, *error_end;
    Real *room, *to_gates, *to_bias, *to_skip, *to_start;

    template <bool kOnce>
    FEWBIT_INLINE void channels(int64_t first, int64_t last) const {
        using M = Math<Real, kOnce>;
        const int64_t n = e.channels, blocks = skip == nullptr ? 4 : 3;
        const Real *forget_bias = bias, *reset_bias = bias + n;
        Real *forgets = room, *cells = room + e.frames * n;
        for (int64_t b = 0; b < e.batch; ++b) {
            const Real* before = start + b * n;
            for (int64_t t = 0; t < e.frames; ++t) {
                const Real *z = gates + (b * e.frames + t) * blocks * n, *f = z + n;
                Real *forget = forgets + t * n, *c = cells + t * n;
                if (t + 1 < e.frames)
                    for (const Real* next : {z, f}) fetch<false>(next + blocks * n, first, last);
                FEWBIT_APART for (int64_t i = first; i < last; ++i) {
                    forget[i] = M::sigmoid(f[i] + forget_bias[i]);
                    c[i] = M::mix(forget[i], before[i], z[i]);
                }
                before = c;
            }
            Real* __restrict carried = to_start + b * n;
            Real* __restrict to_forget_bias = to_bias + b * 2 * n;
            Real* __restrict to_reset_bias = to_forget_bias + n;
            copy_or_clear(error_end == nullptr ? nullptr : error_end + b * n, first, last, carried);
            copy_or_clear<Real>(nullptr, first, last, to_forget_bias);
            copy_or_clear<Real>(nullptr, first, last, to_reset_bias);
            for (int64_t t = e.frames - 1; t >= 0; --t) {
                const int64_t row = b * e.frames + t;
                const Real *z = gates + row * blocks * n, *r = z + 2 * n, *error = error_y + row * n;
                const Real* past = skip == nullptr ? z + 3 * n : skip + row * n;
                const Real *forget = forgets + t * n, *c = cells + t * n, *old = t == 0 ? start + b * n : c - n;
                Real* __restrict to_z = to_gates + row * blocks * n;
                Real* __restrict to_f = to_z + n;
                Real* __restrict to_r = to_z + 2 * n;
                Real* __restrict to_past = skip == nullptr ? to_z + 3 * n : to_skip + row * n;
                if (t > 0) {
                    for (const Real* next : {z, r}) fetch<false>(next - blocks * n, first, last);
                    fetch<false>(error - n, first, last);
                    fetch<false>(skip == nullptr ? past - 4 * n : past - n, first, last);
                    for (const Real* next : {to_z, to_f, to_r}) fetch<true>(next - blocks * n, first, last);
                    fetch<true>(skip == nullptr ? to_past - 4 * n : to_past - n, first, last);
                }
                FEWBIT_APART for (int64_t i = first; i < last; ++i) {
                    const Real reset = M::sigmoid(r[i] + reset_bias[i]), shown = M::tanh(c[i]);
                    const Real cell = carried[i] + error[i] * reset * ((1 - shown) * (1 + shown));
                    const Real to_forget = cell * (old[i] - z[i]) * (forget[i] * (1 - forget[i]));
                    const Real to_reset = error[i] * (shown - past[i]) * (reset * (1 - reset));
                    to_z[i] = cell * (1 - forget[i]);
                    to_f[i] = to_forget;
                    to_r[i] = to_reset;
                    to_past[i] = error[i] * (1 - reset);
                    to_forget_bias[i] += to_forget;
                    to_reset_bias[i] += to_reset;
                    carried[i] = cell * forget[i];
                }
            }
        }
    }
};

template <class Real>
struct QrnnForward {
    const fewbit_extent& e;
    const Real *gates, *start;
    Real *y, *end;

    template <bool kOnce>
    FEWBIT_INLINE void channels(int64_t first, int64_t last) const {
        using M = Math<Real, kOnce>;
        const int64_t n = e.channels;
        for (int64_t b = 0; b < e.batch; ++b) {
            Real* __restrict c = end + b * n;
            std::copy(start + b * n + first, start + b * n + last, c + first);
            for (int64_t row = b * e.frames; row < (b + 1) * e.frames; ++row) {
                const Real *z = gates + row * 3 * n, *f = z + n, *o = z + 2 * n;
                Real* __restrict h = y + row * n;
                if (row + 1 < e.batch * e.frames)
                    for (const Real* next : {z, f, o}) fetch<false>(next + 3 * n, first, last);
                FEWBIT_APART for (int64_t i = first; i < last; ++i) {
                    c[i] = M::mix(M::sigmoid(f[i]), c[i], M::tanh(z[i]));
                    h[i] = M::sigmoid(o[i]) * c[i];
                }
            }
        }
    }
};

template <class Real>
struct QrnnBackward {
    const fewbit_extent& e;
    const Real *gates, *start, *error_y, *error_end;
    Real *room, *to_gates, *to_start;

    template <bool kOnce>
    FEWBIT_INLINE void channels(int64_t first, int64_t last) const {
        using M = Math<Real, kOnce>;
        const int64_t n = e.channels;
        Real *shown = room, *forgets = shown + e.frames * n, *cells = forgets + e.frames * n;
        for (int64_t b = 0; b < e.batch; ++b) {
            const Real* before = start + b * n;
            for (int64_t t = 0; t < e.frames; ++t) {
                const Real *z = gates + (b * e.frames + t) * 3 * n, *f = z + n;
                Real *fresh = shown + t * n, *forget = forgets + t * n, *c = cells + t * n;
                if (t + 1 < e.frames)
                    for (const Real* next : {z, f}) fetch<false>(next + 3 * n, first, last);
                FEWBIT_APART for (int64_t i = first; i < last; ++i) {
                    fresh[i] = M::tanh(z[i]);
                    forget[i] = M::sigmoid(f[i]);
                    c[i] = M::mix(forget[i], before[i], fresh[i]);
                }
                before = c;
            }
            Real* __restrict carried = to_start + b * n;
            copy_or_clear(error_end == nullptr ? nullptr : error_end + b * n, first, last, carried);
            for (int64_t t = e.frames - 1; t >= 0; --t) {
                const int64_t row = b * e.frames + t;
                const Real *o = gates + row * 3 * n + 2 * n, *error = error_y + row * n, *fresh = shown + t * n;
                const Real *forget = forgets + t * n, *c = cells + t * n, *old = t == 0 ? start + b * n : c - n;
                Real* __restrict to_z = to_gates + row * 3 * n;
                Real* __restrict to_f = to_z + n;
                Real* __restrict to_o = to_z + 2 * n;
                if (t > 0) {
                    fetch<false>(o - 3 * n, first, last);
                    fetch<false>(error - n, first, last);
                    for (const Real* next : {to_z, to_f, to_o}) fetch<true>(next - 3 * n, first, last);
                }
                FEWBIT_APART for (int64_t i = first; i < last; ++i) {
                    const Real out = M::sigmoid(o[i]), cell = carried[i] + error[i] * out;
                    to_z[i] = cell * (1 - forget[i]) * ((1 - fresh[i]) * (1 + fresh[i]));
                    to_f[i] = cell * (old[i] - fresh[i]) * (forget[i] * (1 - forget[i]));
                    to_o[i] = error[i] * c[i] * (out * (1 - out));
                    carried[i] = cell * forget[i];
                }
            }
        }
    }
};

// The same loops for each instruction set. On one machine the numbers depend neither on where in a vector a channel
// lies nor on how channels are shared out to threads; between machines the last digit may differ.
template <class Task>
void run_plain(const Task& task, int64_t first, int64_t last) {
#if defined(__aarch64__)
    task.template channels<true>(first, last);
#else
    task.template channels<false>(first, last);
#endif
}

#if defined(__x86_64__)
template <class Task>
__attribute__((target("avx2,fma"))) void run_avx2(const Task& task, int64_t first, int64_t last) {
    task.template channels<true>(first, last);
}

template <class Task>
__attribute__((target("avx512f,avx512dq,fma"))) void run_avx512(const Task& task, int64_t first, int64_t last) {
    task.template channels<true>(first, last);
}
#endif

template <class Task>
void run(const Task& task, int64_t first, int64_t last) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return run_avx512(task, first, last);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return run_avx2(task, first, last);
#endif
    run_plain(task, first, last);
}

constexpr int64_t kPiece = 64;         // channels: whole lines of the cache, no line written by two threads
constexpr int64_t kWorthIt = 1 << 15;  // numbers a thread, some 50 microseconds

// Runs a task on all channels, with fewer threads if the system refuses one.
template <class Task>
void on_threads(const Task& task) noexcept {
    const fewbit_extent& e = task.e;
    const int64_t pieces = (e.channels + kPiece - 1) / kPiece, worth = e.batch * e.frames * e.channels / kWorthIt;
    const int threads = int(std::min<int64_t>({e.threads, pieces, worth}));
    try {
        if (threads > 1) {
            share(threads, pieces, [&](int64_t first, int64_t last) {
                run(task, first * kPiece, std::min(last * kPiece, e.channels));
            });
            return;
        }
    } catch (...) {
    }
    run(task, 0, e.channels);
}

// A pointer that becomes one to floats or doubles, as its reader wants.
template <class Pointer>
struct Untyped {
    Pointer pointer;
    template <class Real>
    operator Real*() const { return static_cast<Real*>(pointer); }
};

template <template <class> class Task, class... Arguments>
void start(const fewbit_extent* e, Arguments... arguments) {
    const auto wrapped = [](auto argument) {
        if constexpr (std::is_pointer_v<decltype(argument)>)
            return Untyped<decltype(argument)>{argument};
        else
            return argument;
    };
    if (e->bytes == 4)
        on_threads(Task<float>{*e, wrapped(arguments)...});
    else
        on_threads(Task<double>{*e, wrapped(arguments)...});
}

}  // namespace
}  // namespace fewbit

using namespace fewbit;

void fewbit_sru_forward(const fewbit_extent* e, const void* gates, const void* bias, const void* skip,
                        const void* before, void* y, void* end) {
    start<SruForward>(e, gates, bias, skip, before, y, end);
}

void fewbit_sru_backward(const fewbit_extent* e, const void* gates, const void* bias, const void* skip,
                         const void* before, const void* error_y, const void* error_end, void* room, void* to_gates,
                         void* to_bias, void* to_skip, void* to_start) {
    start<SruBackward>(e, gates, bias, skip, before, error_y, error_end, room, to_gates, to_bias, to_skip, to_start);
}

void fewbit_qrnn_forward(const fewbit_extent* e, const void* gates, const void* before, void* y, void* end) {
    start<QrnnForward>(e, gates, before, y, end);
}

void fewbit_qrnn_backward(const fewbit_extent* e, const void* gates, const void* before, const void* error_y,
                          const void* error_end, void* room, void* to_gates, void* to_start) {
    start<QrnnBackward>(e, gates, before, error_y, error_end, room, to_gates, to_start);
}
