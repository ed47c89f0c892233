// The product of pairs (pairs.h) with a block of frames. A target may bring, with FEWBIT_OWN_PAIRS, a faster form of
//
//   pair_sums(line, step, panels, blocks, x, sums)   sums (16 panels,) of what the tables of x hold
//
// Each frame looks its sums up: with AVX-512 and AVX2 this is faster, for 1 to 64 frames, than to unpack the weights once
// and to multiply. A strip stays in a cache from frame to frame.
//
// Included in the unnamed namespace of each target file.

#ifndef FEWBIT_OWN_PAIRS
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
#endif

void pair_product(const Product& job) {
    const int64_t blocks = job.segment->padded / kPairBlock;
    for (int64_t s = job.first; s < job.last; ++s) {
        const Strip strip = strip_of(job.matrix->pairs, job.matrix->panels(), s);
        const int64_t row = s * kStripPanels * kPanelRows;
        const int32_t* minus = job.matrix->minus.data() + row;
        for (int64_t t = 0; t < job.frames; ++t) {
            alignas(kLineBytes) int32_t sums[kStripPanels * kPanelRows];
            pair_sums(strip.lines, strip.step, strip.panels, blocks, job.x + t * job.x_stride, sums);
            int32_t* y = job.y + t * job.y_stride + row;
            for (int64_t r = 0; r < int64_t(strip.panels) * kPanelRows; ++r)
                y[r] = int32_t((job.fresh ? 0u : uint32_t(y[r])) + uint32_t(sums[r]) + uint32_t(minus[r]));
        }
    }
}
