// The product of planes with a block of frames, for any instruction set `Isa`:
//
//   Words              a register of weight bytes, kBytes of a line
//   Sums               a register of 32-bit sums, one for each 4 bytes of Words
//   load(line)         Words
//   field<bits, f>(v)  the f-th fields of the bytes, as bytes
//   mask<bits, f>(v)   the same times 2**(bits f), where kScaled says that dot() can take that
//   dot<bits>(s, u, x) s + sums of four products of unsigned bytes u and signed bytes at x
//   dot_signed(s, w, x)  the same of signed bytes w and unsigned bytes at x
//   add(y, s, shift, fresh)  y[...] += s << shift, or = if fresh;  right(s, shift): s >> shift;  plus(s, t): s + t
//   keep(v)            the compiler takes v for used and changed (parts.inl)
//   kSums              registers to use for sums;  kFrames: most frames of a tile
//
// Included in the unnamed namespace of each target file: no code here is shared between instruction sets.

// Columns of a product in runs of equally many blocks; where the numbers of each begin.
struct Walk {
    const int64_t* starts;
    int64_t runs, blocks;
};

constexpr int unroll_factor(int sums, int most) { return sums * 4 <= most ? 4 : sums * 2 <= most ? 2 : 1; }

// A tile, kPanels panels (a part of a strip) by kT frames, where sums of 16 bits are cheaper: `dot_short` adds to them, and
// `add_short` takes them over every short_blocks().
template <class Isa, int kBits, int kT, int kPanels>
inline void short_tile(const uint8_t* line, int64_t step, const Walk& walk, const int8_t* from, int64_t x_stride, int32_t* y,
                       int64_t y_stride, int shift, bool fresh) {
    constexpr int kFields = 8 / kBits, kParts = kLineBytes / Isa::kBytes, kShort = Isa::template short_blocks<kBits>();
    typename Isa::Sums sums[kT][kPanels][kParts];
    const auto each = [&](const auto& body) {
        unrolled<kT>([&](auto t) {
            unrolled<kPanels>([&](auto p) { unrolled<kParts>([&](auto part) { body(t, p, part); }); });
        });
    };
    each([&](auto t, auto p, auto part) { sums[t][p][part] = Isa::zero(); });
    for (int64_t run = 0; run < walk.runs; ++run) {
        const int8_t* x = from + walk.starts[run];
        for (int64_t j = 0; j < walk.blocks;) {
            typename Isa::Sums shorts[kT][kPanels][kParts];
            each([&](auto t, auto p, auto part) { shorts[t][p][part] = Isa::zero(); });
            const int64_t end = walk.blocks - j < kShort ? walk.blocks : j + kShort;
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
    }
    each([&](auto t, auto p, auto part) {
        Isa::add(y + t * y_stride + p * kPanelRows + part * (Isa::kBytes / 4), sums[t][p][part], shift, fresh);
    });
}

// The same with sums of 32 bits only.
template <class Isa, int kBits, int kT, int kPanels>
inline void tile(const uint8_t* line, int64_t step, const Walk& walk, const int8_t* from, int64_t x_stride, int32_t* y,
                 int64_t y_stride, int shift, bool fresh) {
    constexpr int kFields = 8 / kBits, kParts = kLineBytes / Isa::kBytes;
    if constexpr (requires { Isa::template short_blocks<kBits>(); })
        if constexpr (Isa::template short_blocks<kBits>() > 0)
            return short_tile<Isa, kBits, kT, kPanels>(line, step, walk, from, x_stride, y, y_stride, shift, fresh);
    // Masks alone leave field f times 2**(bits f); with sums of its own for each field, the shifts come once, at the end.
    constexpr bool kApart = Isa::kScaled && kFields > 1 && kFields * kT * kPanels * kParts <= Isa::kSums;
    // Few sums wait for each other: then neighbouring blocks have sums of their own, too.
    constexpr int kSets = kApart ? kFields : 1;
    constexpr int kUnroll = unroll_factor(kSets * kT * kPanels * kParts, Isa::kSums);
    typename Isa::Sums sums[kUnroll][kSets][kT][kPanels][kParts];
    for (auto& set : sums)
        for (auto& a : set)
            for (auto& b : a)
                for (auto& c : b)
                    for (auto& d : c) d = Isa::zero();
    const int8_t* x = from;
    const auto block = [&](auto set) {
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
                        auto& sum = sums[int(set)][kApart ? int(f) : 0][t][p][part];
                        sum = Isa::template dot<kBits>(sum, u, x + t * x_stride + 4 * f);
                    });
                });
            });
        });
        line += step;
        x += 4 * kFields;
    };
    for (int64_t run = 0; run < walk.runs; ++run) {
        x = from + walk.starts[run];
        int64_t j = 0;
        for (; j + kUnroll <= walk.blocks; j += kUnroll) unrolled<kUnroll>(block);
        for (; j < walk.blocks; ++j) block(Constant<0>{});
    }
    unrolled<kT>([&](auto t) {
        unrolled<kPanels>([&](auto p) {
            unrolled<kParts>([&](auto part) {
                typename Isa::Sums sum = Isa::zero();
                unrolled<kUnroll>([&](auto set) {
                    unrolled<kSets>([&](auto f) {
                        sum = Isa::plus(sum, Isa::right(sums[set][f][t][p][part], kBits * f));
                    });
                });
                Isa::add(y + t * y_stride + p * kPanelRows + part * (Isa::kBytes / 4), sum, shift, fresh);
            });
        });
    });
}

// Sums of scaled fields must not wrap: so many blocks are safe (2**31 / (255 * 128 * 4), rounded down).
constexpr int64_t kMaxBlocks = 1 << 14;

template <class Isa, int kBits, int kT, int kPanels>
void strip_frames(const Strip& strip, const Walk& walk, const Product& job, const int8_t* x, int64_t frame, int64_t row,
                  int shift, bool fresh) {
    constexpr int kSome = kPanels > 2 ? 2 : 1;
    for (int first = 0; first < strip.panels;) {
        const uint8_t* line = strip.lines + first * kLineBytes;
        int32_t* y = job.y + frame * job.y_stride + row + first * kPanelRows;
        const int left = strip.panels - first, count = left >= kPanels ? kPanels : left >= kSome ? kSome : 1;
        // Several runs are few blocks, see DirectConv.
        for (int64_t j = 0; j < walk.blocks; j += kMaxBlocks) {
            const Walk some{walk.starts, walk.runs, walk.blocks - j < kMaxBlocks ? walk.blocks - j : kMaxBlocks};
            const int8_t* from = x + j * (32 / kBits);
            const uint8_t* at = line + j * strip.step;
            const bool first_blocks = fresh && j == 0;
            if (count == kPanels)
                tile<Isa, kBits, kT, kPanels>(at, strip.step, some, from, job.x_stride, y, job.y_stride, shift, first_blocks);
            else if (count == kSome)
                tile<Isa, kBits, kT, kSome>(at, strip.step, some, from, job.x_stride, y, job.y_stride, shift, first_blocks);
            else
                tile<Isa, kBits, kT, 1>(at, strip.step, some, from, job.x_stride, y, job.y_stride, shift, first_blocks);
        }
        first += count;
    }
}

// The frames of one line, from frame `frame` on.
template <class Isa, int kBits>
void strip_line(const Strip& strip, const Walk& walk, const Product& job, const int8_t* x, int64_t frame, int64_t count,
                int64_t row, int shift, bool fresh) {
    const auto some = [&]<int kT>(Constant<kT>, int64_t t) {
        strip_frames<Isa, kBits, kT, Isa::template panels<kT>()>(strip, walk, job, x + t * job.x_stride, frame + t, row,
                                                                 shift, fresh);
    };
    int64_t t = 0;
    // Eight frames of fields, masked but not shifted, would have too many sums.
    if constexpr (Isa::kFrames >= 8 && kBits == 8)
        for (; strip.panels <= Isa::template panels<8>() && count - t >= 8; t += 8) some(Constant<8>{}, t);
    for (; count - t >= 4; t += 4) some(Constant<4>{}, t);
    if (count - t >= 2) {
        some(Constant<2>{}, t);
        t += 2;
    }
    if (t < count) some(Constant<1>{}, t);
}

template <class Isa, int kBits>
void plane_product(const Product& job, const Plane& plane, bool fresh) {
    const int64_t per_block = plane.columns_per_block(), first = job.segment->start / per_block;
    const Walk walk{job.runs.starts, job.runs.count, job.segment->padded / per_block / job.runs.count};
    for (int64_t s = job.first; s < job.last; ++s) {
        Strip strip = strip_of(plane, job.matrix->panels(), s);
        strip.lines += first * strip.step;
        const int64_t row = s * kStripPanels * kPanelRows;
        for (int64_t frame = 0, line = 0; frame < job.frames; frame += job.runs.frames, ++line) {
            const int64_t left = job.frames - frame, count = left < job.runs.frames ? left : job.runs.frames;
            const int8_t* x = job.x + line * job.runs.line_stride;
            strip_line<Isa, kBits>(strip, walk, job, x, frame, count, row, plane.shift, fresh);
        }
    }
}

#include "pairs.inl"

// An instruction set whose weights are signed bytes, see Plane::is_signed.
template <class Isa>
struct OfSigned : Isa {
    template <int kBits>
    static typename Isa::Sums dot(typename Isa::Sums sum, typename Isa::Words w, const int8_t* x) {
        return Isa::dot_signed(sum, w, x);
    }
};

template <class Isa>
void product(const Product& job) {
    if (job.matrix->in_pairs()) return pair_product(job);
    bool fresh = job.fresh;
    for (const Plane& plane : job.matrix->planes) {
        switch (plane.bits) {
            case 8:
                if (plane.is_signed)
                    plane_product<OfSigned<Isa>, 8>(job, plane, fresh);
                else
                    plane_product<Isa, 8>(job, plane, fresh);
                break;
            case 4: plane_product<Isa, 4>(job, plane, fresh); break;
            case 2: plane_product<Isa, 2>(job, plane, fresh); break;
            default: plane_product<Isa, 1>(job, plane, fresh); break;
        }
        fresh = false;
    }
}
