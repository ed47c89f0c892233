// Products of kernels that are kept with lines of places, see kept_kernels.h.
//
// Included in the unnamed namespace of each target file, behind product.inl. A target may bring, with FEWBIT_OWN_SHUFFLES,
// faster forms of
//
//   Shuffle(order).line(x, starts, to)  to[16 k + i] = x[starts[k] + order[i]], 64 bytes
//   turn_bytes(x, stride, y, y_stride)  y[c][i] = x[i][c] + 128 for 16 x 16 bytes
//   turn_sums(x, stride, y, y_stride)   y[c][i] = x[i][c] for 4 x 4 sums

#ifndef FEWBIT_OWN_SHUFFLES
struct Shuffle {
    const uint8_t* order;
    explicit Shuffle(const uint8_t* bytes) : order(bytes) {}
    void line(const uint8_t* x, const int64_t* starts, uint8_t* to) const {
        for (int k = 0; k < 4; ++k)
            for (int i = 0; i < 16; ++i) to[16 * k + i] = x[starts[k] + order[i]];
    }
};

inline void turn_bytes(const int8_t* x, int64_t stride, uint8_t* y, int64_t y_stride) {
    for (int c = 0; c < 16; ++c)
        for (int i = 0; i < 16; ++i) y[c * y_stride + i] = uint8_t(x[i * stride + c]) ^ 0x80;
}

inline void turn_sums(const int32_t* x, int64_t stride, int32_t* y, int64_t y_stride) {
    for (int c = 0; c < 4; ++c)
        for (int i = 0; i < 4; ++i) y[c * y_stride + i] = x[i * stride + c];
}
#endif

// The numbers of each channel side by side.
void lay_planes(const KeptLines& job) {
    const int64_t places = job.source_rows * job.width, channels = job.channels;
    int64_t c = 0;
    for (; c + 16 <= channels; c += 16) {
        int64_t i = 0;
        for (; i + 16 <= places; i += 16)
            turn_bytes(job.x + i * channels + c, channels, job.planes + c * job.plane_stride + i, job.plane_stride);
        for (; i < places; ++i)
            for (int64_t k = c; k < c + 16; ++k) job.planes[k * job.plane_stride + i] = uint8_t(job.x[i * channels + k]) ^ 0x80;
    }
    for (; c < channels; ++c)
        for (int64_t i = 0; i < places; ++i) job.planes[c * job.plane_stride + i] = uint8_t(job.x[i * channels + c]) ^ 0x80;
}

void lay_lines(const KeptLines& job) {
    lay_planes(job);
    // The bytes of four places that come out, if they lie within 16 bytes.
    uint8_t order[16] = {};
    const bool near = 3 * (job.stride + job.dilation) < 16;
    for (int64_t i = 0; i < 16 && near; ++i) order[i] = uint8_t(i / 4 * job.stride + i % 4 * job.dilation);
    const Shuffle shuffle(order);
    const int64_t in_row = job.blocks * job.quads, maps = job.map_count;
    for (int64_t s = 0; s < job.rows; ++s) {
        if (!job.needed[s]) continue;
        // Where each four lanes read in a plane.
        int64_t starts[4];
        for (int64_t i = 0; i < 4; ++i) {
            const int64_t row = s + 4 * i / job.row_lanes * job.row_step, last = job.source_rows - 1;
            starts[i] = (row < last ? row : last) * job.width + 4 * i % job.row_lanes * job.stride;
        }
        for (int64_t b = 0; b < job.blocks; ++b)
            for (int64_t q = 0; q < job.quads; ++q) {
                const int64_t at = b * kLinePlaces * job.stride + 4 * q * job.dilation;
                uint8_t* to = job.lines + (s * in_row + b * job.quads + q) * kLineBytes;
                for (int64_t m = 0; m < maps; ++m, to += job.map_stride) {
                    const uint8_t* plane = job.planes + job.maps[m] * job.plane_stride + at;
                    if (near)
                        shuffle.line(plane, starts, to);
                    else
                        for (int64_t i = 0; i < kLineBytes; ++i)
                            to[i] = plane[starts[i / 16] + i / 4 % 4 * job.stride + i % 4 * job.dilation];
                }
            }
    }
}

// kT lines of all rows, wherever they lie.
template <class Isa, int kT>
inline void some_kept(const KeptProduct& job, const uint8_t* lines, const int64_t* outs, int32_t* sums) {
    constexpr int kParts = kLineBytes / Isa::kBytes;
    const uint8_t* from[kT];
    unrolled<kT>([&](auto t) { from[t] = lines + outs[t]; });
    for (int64_t r = 0; r < job.rows; ++r, sums += job.pitch) {
        typename Isa::Sums sum[kT][kParts];
        unrolled<kT>([&](auto t) { unrolled<kParts>([&](auto part) { sum[t][part] = Isa::zero(); }); });
        const int8_t* x = job.weights + int64_t(job.first[r]) * job.quads * 4;
        for (int32_t k = job.first[r]; k < job.first[r + 1]; ++k) {
            const int64_t map = job.maps[k] * job.map_stride;
            for (int64_t q = 0; q < job.quads; ++q, x += 4) {
                const int64_t place = map + job.offsets[q];
                unrolled<kT>([&](auto t) {
                    unrolled<kParts>([&](auto part) {
                        const auto u = Isa::load(from[t] + place + part * Isa::kBytes);
                        sum[t][part] = Isa::template dot<8>(sum[t][part], u, x);
                    });
                });
            }
        }
        unrolled<kT>([&](auto t) {
            unrolled<kParts>([&](auto part) {
                Isa::add(sums + t * kLinePlaces + part * (Isa::kBytes / 4), sum[t][part], 0, true);
            });
        });
    }
}

// kT lines of all rows for kernels of three rows, all of which are neighbours, the lines kStep of them: a line that several
// rows of places read is loaded once.
template <class Isa, int kT, int kStep>
inline void neighbours_kept(const KeptProduct& job, const uint8_t* lines, int32_t* sums) {
    constexpr int kParts = kLineBytes / Isa::kBytes;
    const int64_t next = job.offsets[1] - job.offsets[0];
    for (int64_t r = 0; r < job.rows; ++r, sums += job.pitch) {
        typename Isa::Sums sum[kT][kParts];
        unrolled<kT>([&](auto t) { unrolled<kParts>([&](auto part) { sum[t][part] = Isa::zero(); }); });
        const int8_t* x = job.weights + int64_t(job.first[r]) * 12;
        for (int32_t k = job.first[r]; k < job.first[r + 1]; ++k, x += 12) {
            const uint8_t* line = lines + job.maps[k] * job.map_stride;
            unrolled<kStep * (kT - 1) + 3>([&](auto s) {
                unrolled<kParts>([&](auto part) {
                    const auto u = Isa::load(line + part * Isa::kBytes);
                    unrolled<3>([&](auto i) {
                        constexpr int kPast = s - i;
                        if constexpr (kPast >= 0 && kPast % kStep == 0 && kPast / kStep < kT)
                            sum[kPast / kStep][part] = Isa::template dot<8>(sum[kPast / kStep][part], u, x + 4 * i);
                    });
                });
                line += next;
            });
        }
        unrolled<kT>([&](auto t) {
            unrolled<kParts>([&](auto part) {
                Isa::add(sums + t * kLinePlaces + part * (Isa::kBytes / 4), sum[t][part], 0, true);
            });
        });
    }
}

// How many neighbours there are from one line to the next, for `count` lines; 0 if they are not so.
inline int step_of(const KeptProduct& job, const int64_t* outs, int64_t count) {
    if (job.quads != 3 || job.offsets[0] != 0) return 0;
    const int64_t next = job.offsets[1], step = outs[1] - outs[0];
    if (job.offsets[2] != 2 * next || (step != next && step != 2 * next)) return 0;
    for (int64_t t = 2; t < count; ++t)
        if (outs[t] - outs[t - 1] != step) return 0;
    return int(step / next);
}

template <class Isa>
void kept_product(const KeptProduct& job) {
    constexpr int kMost = Isa::kSums / (kLineBytes / Isa::kBytes);
    for (int part = 0; part < job.parts; ++part) {
        const auto some = [&]<int kT>(Constant<kT>, int64_t t) {
            const int64_t* outs = job.outs + t;
            int32_t* sums = job.sums[part] + t * kLinePlaces;
            if constexpr (kT > 1) {
                const int step = step_of(job, outs, kT);
                if (step == 1) return neighbours_kept<Isa, kT, 1>(job, job.lines[part] + outs[0], sums);
                if (step == 2) return neighbours_kept<Isa, kT, 2>(job, job.lines[part] + outs[0], sums);
            }
            some_kept<Isa, kT>(job, job.lines[part], outs, sums);
        };
        int64_t t = 0;
        if constexpr (kMost >= 8)
            for (; job.count - t >= 8; t += 8) some(Constant<8>{}, t);
        if constexpr (kMost >= 4)
            for (; job.count - t >= 4; t += 4) some(Constant<4>{}, t);
        for (; t < job.count; ++t) some(Constant<1>{}, t);
    }
    if (job.parts == 1) return;
    int32_t* __restrict high = job.sums[0];
    const int32_t* __restrict low = job.sums[1];
    for (int64_t i = 0; i < job.rows * job.pitch; ++i) high[i] = int32_t(256 * uint32_t(high[i]) + uint32_t(low[i]));
}

// Sums (rows, stride) of neighbouring places to sums (places, rows). Up to three places more are written.
void turn_kept(const int32_t* sums, int64_t stride, int64_t rows, int64_t places, int32_t* y, int64_t y_stride) {
    for (int64_t i = 0; i < places; i += 4, y += 4 * y_stride, sums += 4) {
        int64_t r = 0;
        for (; r + 4 <= rows; r += 4) turn_sums(sums + r * stride, stride, y + r, y_stride);
        for (; r < rows; ++r)
            for (int64_t k = 0; k < 4; ++k) y[k * y_stride + r] = sums[r * stride + k];
    }
}
