// The product of pairs (pairs.h) with a block of frames, for any instruction set `Isa`. A target may bring, with
// FEWBIT_OWN_PAIRS, faster forms of
//
//   pair_sums(line, step, panels, blocks, x, sums)   sums (16 panels,) of what the tables hold
//   unpack_pairs(line, step, panels, blocks, out)    lines of a plane of 2 bits, with the fields code + 1
//
// Few frames look their sums up. For more, some columns of a strip are unpacked and multiplied as a plane of 2 bits, so that
// the weights are read once. Included in the unnamed namespace of each target file.

int32_t byte_sum(const int8_t* x, int64_t n);

#ifndef FEWBIT_OWN_PAIRS
constexpr int64_t kPairFrames = 3;

void pair_sums(const uint8_t* line, int64_t step, int panels, int64_t blocks, const int8_t* x, int32_t* sums) {
    for (int i = 0; i < panels * kPanelRows; ++i) sums[i] = 0;
    for (int64_t j = 0; j < blocks; ++j, line += step)
        for (int g = 0; g < 4; ++g, x += kPairColumns) {
            int8_t low[16], high[16];
            for (int i = 0; i < 8; ++i) {
                low[i] = x[i];
                low[8 + i] = int8_t(~x[i]);
                high[i] = i == 0 ? int8_t(0) : x[i];
                high[8 + i] = i == 0 ? int8_t(0) : int8_t(~x[i]);
            }
            for (int p = 0; p < panels; ++p)
                for (int r = 0; r < kPanelRows; ++r) {
                    const uint8_t pair = line[p * kLineBytes + g * kPanelRows + r];
                    sums[p * kPanelRows + r] += low[pair & 15] + high[pair >> 4];
                }
        }
}

void unpack_pairs(const uint8_t* line, int64_t step, int panels, int64_t blocks, uint8_t* out) {
    for (int64_t j = 0; j < blocks; ++j, line += step)
        for (int half = 0; half < 2; ++half)
            for (int p = 0; p < panels; ++p, out += kLineBytes)
                for (int r = 0; r < kPanelRows; ++r) {
                    const uint8_t* group = line + p * kLineBytes + 2 * half * kPanelRows + r;
                    const uint8_t even = group[0], odd = group[kPanelRows];
                    for (int c = 0; c < 4; ++c) {
                        const int first = kPairFields.low[c][even & 15] + kPairFields.high[c][even >> 4];
                        const int second = kPairFields.low[c][odd & 15] + kPairFields.high[c][odd >> 4];
                        out[4 * r + c] = uint8_t((first & 15) | (second & 15) << 4);
                    }
                }
}
#endif

// Columns that are unpacked at once: 16 KB, which stay in the first cache.
constexpr int64_t kPairChunk = 32;

template <class Isa>
void unpacked_product(const Product& job, const Strip& strip, int64_t row, const int32_t* x_sums) {
    alignas(kLineBytes) uint8_t lines[kPairChunk * 2 * kStripPanels * kLineBytes];
    const int64_t blocks = job.segment->padded / kPairBlock, rows = int64_t(strip.panels) * kPanelRows;
    for (int64_t t = 0; t < job.frames; ++t) {
        int32_t* y = job.y + t * job.y_stride + row;
        const auto past = uint32_t(x_sums[t]);
        for (int64_t r = 0; r < rows; ++r) y[r] = int32_t((job.fresh ? 0u : uint32_t(y[r])) - past);
    }
    for (int64_t j = 0; j < blocks; j += kPairChunk) {
        const int64_t count = blocks - j < kPairChunk ? blocks - j : kPairChunk;
        unpack_pairs(strip.lines + j * strip.step, strip.step, strip.panels, count, lines);
        const Strip some{lines, strip.panels, strip.step};
        const Walk walk{job.runs.starts, 1, 2 * count};
        strip_line<Isa, 2>(some, walk, job, job.x + j * kPairBlock, 0, job.frames, row, 0, false);
    }
}

template <class Isa>
void pair_product(const Product& job) {
    const int64_t blocks = job.segment->padded / kPairBlock;
    const bool unpacked = job.frames > kPairFrames;
    constexpr int64_t kSome = 64;
    for (int64_t first = 0; first < job.frames; first += unpacked ? kSome : job.frames) {
        Product some = job;
        some.x += first * job.x_stride;
        some.y += first * job.y_stride;
        if (unpacked && job.frames - first > kSome) some.frames = kSome;
        else some.frames = job.frames - first;
        int32_t x_sums[kSome];
        if (unpacked)
            for (int64_t t = 0; t < some.frames; ++t) x_sums[t] = byte_sum(some.x + t * job.x_stride, job.segment->padded);
        for (int64_t s = job.first; s < job.last; ++s) {
            const Strip strip = strip_of(job.matrix->pairs, job.matrix->panels(), s);
            const int64_t row = s * kStripPanels * kPanelRows;
            if (unpacked) {
                unpacked_product<Isa>(some, strip, row, x_sums);
                continue;
            }
            const int32_t* minus = job.matrix->minus.data() + row;
            for (int64_t t = 0; t < some.frames; ++t) {
                alignas(kLineBytes) int32_t sums[kStripPanels * kPanelRows];
                pair_sums(strip.lines, strip.step, strip.panels, blocks, some.x + t * job.x_stride, sums);
                int32_t* y = some.y + t * job.y_stride + row;
                for (int64_t r = 0; r < int64_t(strip.panels) * kPanelRows; ++r)
                    y[r] = int32_t((job.fresh ? 0u : uint32_t(y[r])) + uint32_t(sums[r]) + uint32_t(minus[r]));
            }
        }
    }
}
