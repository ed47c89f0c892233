// What no product of planes can do without, one part at a time, to measure how fast a product could be at best: the same
// lines of the same matrix are only read, or also unpacked, or nothing is read and only the products are made. See
// product.inl for the contract of `Isa`; of it, keep(v) makes the compiler believe that v is used and changed.
//
// Included in the unnamed namespace of each target file.

template <class Isa>
void read_lines(const uint8_t* lines, int64_t count) {
    constexpr int kParts = kLineBytes / Isa::kBytes;
    for (int64_t i = 0; i < count; ++i, lines += kLineBytes)
        unrolled<kParts>([&](auto part) {
            auto v = Isa::load(lines + part * Isa::kBytes);
            Isa::keep(v);
        });
}

template <class Isa, int kBits>
void unpack_lines(const uint8_t* lines, int64_t count) {
    constexpr int kFields = 8 / kBits, kParts = kLineBytes / Isa::kBytes;
    for (int64_t i = 0; i < count; ++i, lines += kLineBytes)
        unrolled<kParts>([&](auto part) {
            const auto v = Isa::load(lines + part * Isa::kBytes);
            unrolled<kFields>([&](auto f) {
                typename Isa::Words u;
                // Masks alone are the least that a product needs where it can take scaled fields.
                if constexpr (Isa::kScaled && kFields > 1)
                    u = Isa::template mask<kBits, f>(v);
                else
                    u = Isa::template field<kBits, f>(v);
                Isa::keep(u);
            });
        });
}

// sum + u x by the cheaper of both ways of a tile.
template <class Isa, int kBits>
inline auto dot_either(typename Isa::Sums sum, typename Isa::Words u, const int8_t* x) {
    if constexpr (requires { Isa::template short_blocks<kBits>(); })
        if constexpr (Isa::template short_blocks<kBits>() > 0) return Isa::dot_short(sum, u, x);
    return Isa::template dot<kBits>(sum, u, x);
}

// `count` products of registers of fields with four activations. Twelve sums, so that none waits for itself; or four, where
// a product needs more registers, and its sum waits for an addition only. As in a tile, a register meets four frames, which
// share what `dot` makes of it.
template <class Isa, int kBits>
void multiply_fields(int64_t count) {
    alignas(kLineBytes) static const uint8_t fields[kLineBytes] = {};
    alignas(4) static const int8_t zeros[16] = {};
    const int8_t* x = zeros;
    asm volatile("" : "+r"(x));  // or products with known numbers would be left out
    auto u = Isa::load(fields);
    // No arrays: GCC keeps some of them in memory.
    auto a = Isa::zero(), b = a, c = a, d = a;
    const auto four = [&](auto& a, auto& b, auto& c, auto& d) {
        Isa::keep(u);
        a = dot_either<Isa, kBits>(a, u, x);
        b = dot_either<Isa, kBits>(b, u, x + 4);
        c = dot_either<Isa, kBits>(c, u, x + 8);
        d = dot_either<Isa, kBits>(d, u, x + 12);
    };
    if constexpr (Isa::kScaled || Isa::kSums > 8) {
        auto e = a, f = a, g = a, h = a, i = a, j = a, k = a, l = a;
        for (int64_t n = 0; n + 12 <= count; n += 12) {
            four(a, b, c, d);
            four(e, f, g, h);
            four(i, j, k, l);
        }
        for (auto sum : {e, f, g, h, i, j, k, l}) a = Isa::plus(a, sum);
    } else {
        for (int64_t n = 0; n + 4 <= count; n += 4) {
            asm volatile("" : "+r"(x));  // loaded again, because in registers they would push out sums
            four(a, b, c, d);
        }
    }
    auto all = Isa::plus(Isa::plus(a, b), Isa::plus(c, d));
    Isa::keep(all);
}

template <class Isa, int kBits>
void plane_part(const uint8_t* lines, int64_t count, int64_t frames, Part part) {
    constexpr int kProducts = kLineBytes / Isa::kBytes * (8 / kBits);
    if (part == Part::read) read_lines<Isa>(lines, count);
    if (part == Part::unpack) unpack_lines<Isa, kBits>(lines, count);
    if (part == Part::multiply) multiply_fields<Isa, kBits>(count * kProducts * frames);
}

// Pairs are looked up in lines that stay in the first cache.
template <class Isa>
void pair_part(const uint8_t* lines, int64_t count, int64_t frames, Part part) {
    if (part == Part::read) read_lines<Isa>(lines, count);
    if (part == Part::unpack) unpack_lines<Isa, 4>(lines, count);
    if (part != Part::multiply) return;
    constexpr int64_t kBlocks = 16, kLines = kBlocks * kStripPanels;
    alignas(kLineBytes) static const uint8_t pairs[kLines * kLineBytes] = {};
    static const int8_t x[kBlocks * kPairBlock] = {};
    alignas(kLineBytes) int32_t sums[kStripPanels * kPanelRows];
    for (int64_t n = 0; n + kLines <= count * frames; n += kLines) {
        pair_sums(pairs, kStripPanels * kLineBytes, kStripPanels, kBlocks, x, sums);
        asm volatile("" : : "r"(sums) : "memory");
    }
}

template <class Isa>
void product_part(const PartOfProduct& job) {
    const int64_t panels = job.matrix->panels(), first = job.first * kStripPanels;
    const int64_t end = job.last * kStripPanels < panels ? job.last * kStripPanels : panels;
    if (job.matrix->in_pairs()) {
        const int64_t blocks = job.matrix->pairs.blocks;
        pair_part<Isa>(job.matrix->pairs.lines.get() + first * blocks * kLineBytes, (end - first) * blocks, job.frames, job.part);
    }
    for (const Plane& plane : job.matrix->planes) {
        const uint8_t* lines = plane.lines.get() + first * plane.blocks * kLineBytes;
        const int64_t count = (end - first) * plane.blocks;
        switch (plane.bits) {
            case 8: plane_part<Isa, 8>(lines, count, job.frames, job.part); break;
            case 4: plane_part<Isa, 4>(lines, count, job.frames, job.part); break;
            case 2: plane_part<Isa, 2>(lines, count, job.frames, job.part); break;
            default: plane_part<Isa, 1>(lines, count, job.frames, job.part); break;
        }
    }
}
