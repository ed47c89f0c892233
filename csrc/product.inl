// The product of planes with a block of frames, for any instruction set `Isa`:
//
//   Words              a register of weight bytes, kBytes of a line
//   Sums               a register of 32-bit sums, one for each 4 bytes of Words
//   load(line)         Words
//   field<bits, f>(v)  the f-th fields of the bytes, as bytes
//   mask<bits, f>(v)   the same times 2**(bits f), where kScaled says that dot() can take that
//   dot<bits>(s, u, x) s + sums of four products of unsigned bytes u and signed bytes at x
//   add(y, s, shift)   y[...] += s << shift;  right(s, shift): s >> shift
//   kSums              registers to use for sums;  kFrames: most frames of a tile
//
// Included in the unnamed namespace of each target file: no code here is shared between instruction sets.

constexpr int turns(int sums, int most) { return sums * 4 <= most ? 4 : sums * 2 <= most ? 2 : 1; }

// A tile, kPanels panels (a part of a strip) by kT frames, where sums of 16 bits are cheaper: `dot_short` adds to them, and
// `add_short` takes them over every short_blocks().
template <class Isa, int kBits, int kT, int kPanels>
inline void short_tile(const uint8_t* line, int64_t step, int64_t blocks, const int8_t* x, int64_t x_stride, int32_t* y,
                       int64_t y_stride, int shift) {
    constexpr int kFields = 8 / kBits, kParts = kLineBytes / Isa::kBytes, kShort = Isa::template short_blocks<kBits>();
    typename Isa::Sums sums[kT][kPanels][kParts];
    const auto each = [&](const auto& body) {
        unrolled<kT>([&](auto t) {
            unrolled<kPanels>([&](auto p) { unrolled<kParts>([&](auto part) { body(t, p, part); }); });
        });
    };
    each([&](auto t, auto p, auto part) { sums[t][p][part] = Isa::zero(); });
    for (int64_t j = 0; j < blocks;) {
        typename Isa::Sums shorts[kT][kPanels][kParts];
        each([&](auto t, auto p, auto part) { shorts[t][p][part] = Isa::zero(); });
        const int64_t end = blocks - j < kShort ? blocks : j + kShort;
        for (; j < end; ++j) {
            unrolled<kPanels>([&](auto p) {
                unrolled<kParts>([&](auto part) {
                    const auto v = Isa::load(line + p * kLineBytes + part * Isa::kBytes);
                    unrolled<kFields>([&](auto f) {
                        const auto u = Isa::template field<kBits, f>(v);
                        unrolled<kT>([&](auto t) {
                            auto& sum = shorts[t][p][part];
                            sum = Isa::dot_short(sum, u, x + t * x_stride + 4 * f);
                        });
                    });
                });
            });
            line += step;
            x += 4 * kFields;
        }
        each([&](auto t, auto p, auto part) {
            sums[t][p][part] = Isa::add_short(sums[t][p][part], shorts[t][p][part]);
        });
    }
    each([&](auto t, auto p, auto part) {
        Isa::add(y + t * y_stride + p * kPanelRows + part * (Isa::kBytes / 4), sums[t][p][part], shift);
    });
}

// The same with sums of 32 bits only.
template <class Isa, int kBits, int kT, int kPanels>
inline void tile(const uint8_t* line, int64_t step, int64_t blocks, const int8_t* x, int64_t x_stride, int32_t* y,
                 int64_t y_stride, int shift) {
    constexpr int kFields = 8 / kBits, kParts = kLineBytes / Isa::kBytes;
    if constexpr (requires { Isa::template short_blocks<kBits>(); })
        if constexpr (Isa::template short_blocks<kBits>() > 0)
            return short_tile<Isa, kBits, kT, kPanels>(line, step, blocks, x, x_stride, y, y_stride, shift);
    // Masks alone leave field f times 2**(bits f); with sums of its own for each field, the shifts come once, at the end.
    constexpr bool kApart = Isa::kScaled && kFields > 1 && kFields * kT * kPanels * kParts <= Isa::kSums;
    // Few sums wait for each other: then neighbouring blocks have sums of their own, too.
    constexpr int kSets = kApart ? kFields : 1;
    constexpr int kTurns = turns(kSets * kT * kPanels * kParts, Isa::kSums);
    typename Isa::Sums sums[kTurns][kSets][kT][kPanels][kParts];
    for (auto& turn : sums)
        for (auto& a : turn)
            for (auto& b : a)
                for (auto& c : b)
                    for (auto& d : c) d = Isa::zero();
    const auto block = [&](auto turn) {
        unrolled<kPanels>([&](auto p) {
            unrolled<kParts>([&](auto part) {
                const auto v = Isa::load(line + p * kLineBytes + part * Isa::kBytes);
                unrolled<kFields>([&](auto f) {
                    typename Isa::Words u;
                    if constexpr (kApart)
                        u = Isa::template mask<kBits, f>(v);
                    else
                        u = Isa::template field<kBits, f>(v);
                    unrolled<kT>([&](auto t) {
                        auto& sum = sums[int(turn)][kApart ? int(f) : 0][t][p][part];
                        sum = Isa::template dot<kBits>(sum, u, x + t * x_stride + 4 * f);
                    });
                });
            });
        });
        line += step;
        x += 4 * kFields;
    };
    int64_t j = 0;
    for (; j + kTurns <= blocks; j += kTurns) unrolled<kTurns>(block);
    for (; j < blocks; ++j) block(Constant<0>{});
    unrolled<kT>([&](auto t) {
        unrolled<kPanels>([&](auto p) {
            unrolled<kParts>([&](auto part) {
                int32_t* out = y + t * y_stride + p * kPanelRows + part * (Isa::kBytes / 4);
                unrolled<kTurns>([&](auto turn) {
                    unrolled<kSets>([&](auto f) {
                        Isa::add(out, Isa::right(sums[turn][f][t][p][part], kBits * f), shift);
                    });
                });
            });
        });
    });
}

// Sums of scaled fields must not wrap: so many blocks are safe (2**31 / (255 * 128 * 4), rounded down).
constexpr int64_t kMostBlocks = 1 << 14;

template <class Isa, int kBits, int kT, int kPanels>
void strip_frames(const Strip& strip, int64_t blocks, const Product& job, int64_t frame, int64_t row, int shift) {
    for (int first = 0; first < strip.panels;) {
        const uint8_t* line = strip.lines + first * kLineBytes;
        int32_t* y = job.y + frame * job.y_stride + row + first * kPanelRows;
        const bool whole = first + kPanels <= strip.panels;
        for (int64_t j = 0; j < blocks; j += kMostBlocks) {
            const int64_t n = blocks - j < kMostBlocks ? blocks - j : kMostBlocks;
            const int8_t* x = job.x + frame * job.x_stride + j * (32 / kBits);
            const uint8_t* at = line + j * strip.step;
            if (whole)
                tile<Isa, kBits, kT, kPanels>(at, strip.step, n, x, job.x_stride, y, job.y_stride, shift);
            else
                tile<Isa, kBits, kT, 1>(at, strip.step, n, x, job.x_stride, y, job.y_stride, shift);
        }
        first += whole ? kPanels : 1;
    }
}

template <class Isa, int kBits>
void plane_product(const Product& job, const Plane& plane) {
    const int64_t per_block = plane.columns_per_block();
    const int64_t first = job.segment->start / per_block, blocks = job.segment->padded / per_block;
    for (int64_t s = job.first; s < job.last; ++s) {
        Strip strip = strip_of(plane, job.matrix->panels(), s);
        strip.lines += first * strip.step;
        const int64_t row = s * kStripPanels * kPanelRows;
        int64_t t = 0;
        if constexpr (Isa::kFrames >= 8)
            for (; job.frames - t >= 8; t += 8)
                strip_frames<Isa, kBits, 8, Isa::template panels<8>()>(strip, blocks, job, t, row, plane.shift);
        for (; job.frames - t >= 4; t += 4)
            strip_frames<Isa, kBits, 4, Isa::template panels<4>()>(strip, blocks, job, t, row, plane.shift);
        if (job.frames - t >= 2) {
            strip_frames<Isa, kBits, 2, Isa::template panels<2>()>(strip, blocks, job, t, row, plane.shift);
            t += 2;
        }
        if (t < job.frames)
            strip_frames<Isa, kBits, 1, Isa::template panels<1>()>(strip, blocks, job, t, row, plane.shift);
    }
}

template <class Isa>
void product(const Product& job) {
    for (const Plane& plane : job.matrix->planes) switch (plane.bits) {
            case 8: plane_product<Isa, 8>(job, plane); break;
            case 4: plane_product<Isa, 4>(job, plane); break;
            case 2: plane_product<Isa, 2>(job, plane); break;
            default: plane_product<Isa, 1>(job, plane); break;
        }
}
