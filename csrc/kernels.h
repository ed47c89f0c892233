// What an instruction set must provide. One file (target_*.cpp) for each; all give the same integers.
#pragma once

#include <string>

#include "matrix.h"
#include "pairs.h"
#include "values.h"

namespace fewbit {

// The columns of activations that are not contiguous: `count` runs of equal length, run i of a frame begins
// `starts[i]` bytes after the frame. Frames come in lines of `frames`, `line_stride` bytes apart.
struct Runs {
    const int64_t* starts;
    int64_t count, frames, line_stride;
};
inline constexpr int64_t kNoStart = 0;
// One run, one line.
inline constexpr Runs kPlainRuns{&kNoStart, 1, INT64_MAX, 0};

// y[t][r] += sum over the columns of a segment of u(r, k) * x[t][k], modulo 2**32, for strips first..last.
struct Product {
    const Matrix* matrix;
    const Segment* segment;
    int64_t first, last;     // strips
    const int8_t* x;         // (frames, x_stride), the segment's first column
    int64_t x_stride;
    int64_t frames;
    int32_t* y;              // (frames, y_stride)
    int64_t y_stride;
    Runs runs = kPlainRuns;
    bool fresh = false;  // y is written, not added to
};

// One part of the work of a product, see parts.inl; all planes of strips first..last.
enum class Part { read, unpack, multiply };
struct PartOfProduct {
    const Matrix* matrix;
    Part part;
    int64_t first, last, frames;
};

// Where the products with one part of the activations start, modulo 2**32: y = [256 y +] row_sums * by - offset * sums[t].
struct Start {
    const int32_t* row_sums;  // (rows,)
    int32_t by, offset;
    const int32_t* sums;  // (frames,)
    int64_t rows, frames;
    int32_t* y;  // (frames, y_stride)
    int64_t y_stride;
    bool add;  // to the products with the part before
};

// x -> saturate((x * multiplier + half) >> shift, low, high), half = 2**(shift - 1) or 0.
struct Rescale {
    const int32_t* multiplier;  // (n,)
    int shift;
    int32_t low, high;
};

// The recurrences over a block of frames. Gates are Q3.12 in blocks of `hidden`, see docs/internals/numerics.md.
struct SruScan {
    int64_t frames, hidden;
    const int32_t* gates;  // (frames, gate_stride): candidate, forget, reset
    int64_t gate_stride;
    const int32_t* skip;  // (frames, skip_stride)
    int64_t skip_stride;
    int32_t* cell;  // (hidden,), state
    int32_t* y;     // (frames, hidden)
    int32_t cell_multiplier, skip_multiplier;
    int shift;
    int32_t low, high;
};

struct QrnnScan {
    int64_t frames, hidden;
    const int32_t* gates;  // candidate, forget, output
    int64_t gate_stride;
    int32_t* cell;
    int32_t* y;
    Rescale output;
};

struct LstmStep {
    int64_t hidden;
    const int32_t* gates;  // rescaled input half: input, forget, candidate, output
    const int32_t* back;   // rescaled hidden half
    int32_t* cell;
    int32_t* y;  // (hidden,)
    Rescale output;
    bool fine;  // see ops.LSTM
};

struct GruStep {
    int64_t hidden;
    const int32_t* gates;  // rescaled input half: reset, update, candidate
    const int32_t* back;   // rescaled hidden half
    const int32_t* bias_hidden;
    int32_t* slow;
    int32_t* y;
    Rescale output;
    bool fine;  // see ops.GRU
};

// Sums of products to numbers, row by row, in the storage of what comes out:
// y = rescale(2**bias_bits * (sums - offset * input_sums[t]) + bias) modulo 2**32.
struct Requantization {
    const int32_t* sums;  // (count, sums_stride)
    int64_t sums_stride;
    const int32_t* bias;  // (size,) or null
    Rescale to;
    int64_t size, count;
    uint8_t* y;  // (count, y_stride)
    int64_t y_stride;
    Storage storage;
    bool fits_int32 = false;              // results fit 32 bits before they are limited
    const int32_t* input_sums = nullptr;  // (count,) or null
    int32_t offset = 0;
    int bias_bits = 0;

    uint32_t zero_point_term(int64_t t) const {
        return input_sums == nullptr ? 0u : 0u - uint32_t(offset) * uint32_t(input_sums[t]);
    }
};

// See ops.Sum; at most kChunk numbers.
struct SumTerm {
    const int32_t *x, *multiplier;
};
struct WeightedSum {
    const SumTerm* terms;
    int64_t terms_count;
    const int32_t* bias;
    int shift;
    int32_t low, high;
};

// See ops.Map. An x outside of the points counts as the nearest that is inside.
struct Curve {
    const int32_t* pairs;  // point i in the lower half, point i + 1 in the upper one: both are read at once
    int32_t first, last;  // of x
    int fraction_bits, spare_bits;
    int32_t low, high;
};

// See ops.Norm; all of the vectors have `length` entries.
struct Normalise {
    int64_t length;
    bool centre;
    int64_t eps;
    const int32_t *multiplier, *bias;
    int shift;
    int32_t low, high;
};

// Distances from the largest score to weights of 15 bits: 2**-(distance * multiplier / 2**shift).
struct Exponent {
    int32_t multiplier;
    int shift;
};

// Mixtures in Q15 of a code to numbers.
struct Blend {
    int32_t multiplier;
    int shift;
    int32_t low, high;
};

// One query against `count` keys, see ops.Attend.
struct Attention {
    int64_t width, count;
    const int16_t *query, *keys, *values;  // (width,), (count, width), (count, width)
    const uint8_t* seen;                   // (count,), or null: all
    bool wide;                             // scores do not fit 32 bits
    int64_t together;                      // keys whose weighted values have a sum of 32 bits; 0: not even one
    Exponent exponent;
    Blend to;
    int64_t* scores;  // (count,) of working memory
    int32_t* weights;  // (count,)
    int64_t* mixed;    // (width,)
    int32_t* y;        // (width,)
};

// Scores of 32 bits to weights of 15 bits, in the bytes of which a product makes use: 256 * high + low + 128.
struct Weighing {
    const int32_t* scores;  // (count,)
    const uint8_t* seen;    // (count,), or null: all
    Exponent exponent;
    int64_t count;
    int8_t *high, *low;
};

// Sums of the windows of a line: y[i] = sum over runs r and j below `neighbours` of x[i * step + starts[r] + j].
struct WindowSums {
    const int32_t* x;
    const int64_t* starts;  // (runs,)
    int64_t runs, neighbours, step, count;
    int32_t* y;
};

// Places of a depthwise convolution: y[p][c] = sum over k of weights[k][c] * x[p * step + starts[k] + c].
struct Depthwise {
    const int8_t* x;
    const int64_t* starts;  // (kernel,)
    int64_t kernel, channels, places, step;
    const int16_t* weights;  // (kernel, channels)
    // The weights as bytes, or null: (channels / 64, kernel / 4, 4, 4, 4, 4) with zeros behind the kernel. Of 64 channels
    // and four places, entry (v, i, j, k) is channel 16 i + 4 v + j and place k. Channels behind the last 64 are not there.
    const int8_t* quads;
    const int32_t* sums;     // (channels,), of the weights
    int32_t* y;              // (places, channels)
};

// Up to sixteen neighbouring bytes of a window, and which of them are written side by side; see kept_columns.h.
constexpr int64_t kPieceBytes = 16;
struct ColumnPiece {
    int64_t from, to;  // the first byte in a window, and in a row
    uint8_t order[kPieceBytes];
};

// The same for sixty-four neighbours.
constexpr int64_t kRunBytes = 64;
struct ColumnRun {
    int64_t from, to;
    uint64_t kept;  // a bit for each byte
};

// What a product of kept columns costs beyond its lines, in products of a line: for each piece of a window, and for each
// window. It is taken where all of it costs less than `gain` of the product of all columns.
struct ColumnCosts {
    double piece, window, gain;
};
// Of sixteen rows by four columns in one instruction, in several, and where it was not measured, which leaves room.
inline constexpr ColumnCosts kFastColumns{1, 20, 1}, kSlowColumns{0.5, 4, 1}, kUnknownColumns{1, 20, 0.5};

// Windows that begin at x + starts[n] to rows of the bytes of all pieces, or all runs, which say the same, `stride` bytes
// apart. Up to kRunBytes - 1 bytes more are read behind a window, and written behind a row.
struct ColumnGather {
    const int8_t* x;
    const int64_t* starts;
    int64_t count;
    const ColumnPiece* pieces;
    int64_t piece_count;
    const ColumnRun* runs;
    int64_t run_count;
    int8_t* y;
    int64_t stride;
};

// Frames with the numbers of a place side by side to lines of places, see kept_kernels.h.
constexpr int64_t kLinePlaces = 16;
struct KeptLines {
    const int8_t* x;                       // (source_rows, width, channels)
    int64_t source_rows, width, channels;
    int64_t rows;                          // of places, of which lines are wanted
    const uint8_t* needed;                 // (rows,), or 0
    int64_t blocks, quads, row_lanes, row_step, stride, dilation;  // see LineShape
    const int32_t* maps;                   // (map_count,)
    int64_t map_count;
    uint8_t* planes;                       // working memory (channels, plane_stride)
    int64_t plane_stride;
    uint8_t* lines;                        // (map_count, map_stride): (rows, blocks, quads) lines each
    int64_t map_stride;
};

// Kept kernels times lines: sums[part][r][i][place] = sum over kernels k of row r and quads q of four products of
// weights[k][q] and the line `outs[i] + offsets[q]` bytes behind those of map maps[k]. Of two parts, the first then has
// 256 times itself and the second.
struct KeptProduct {
    const uint8_t* lines[2];
    int parts;
    int64_t map_stride;
    const int64_t* outs;     // (count,)
    int64_t count;
    const int64_t* offsets;  // (quads,), of a kernel
    int64_t quads;
    const int32_t *first, *maps;  // see KeptKernels
    const int8_t* weights;
    int64_t rows;
    int32_t* sums[2];  // (rows, pitch), of which count * kLinePlaces are written
    int64_t pitch;
};

// All functions of a target, in the order of FEWBIT_KERNELS (target.inl).
struct Kernels {
    const char* name;
    bool (*runs_here)();
    void (*product)(const Product&);
    // y = rescale(x + bias); bias may be null.
    void (*rescale)(const int32_t* x, const int32_t* bias, const Rescale&, int64_t n, int32_t* y);
    void (*sru)(const SruScan&);
    void (*qrnn)(const QrnnScan&);
    void (*lstm)(const LstmStep&);
    void (*gru)(const GruStep&);
    void (*start)(const Start&);
    // y = clamp(floor(x * gain + offset + 1/2), low, high) in double; false if an x is NaN or infinite.
    bool (*features)(const float* x, const float* gain, const float* offset, int32_t low, int32_t high, int64_t n,
                     int32_t* y);
    // Largest magnitude of x (any NaN is larger than all).
    float (*largest)(const float* x, int64_t n);
    // x / step to bytes, halves to even; returns the sum of the bytes.
    int32_t (*quantize)(const float* x, int64_t n, float inverse_step, int8_t* y);
    // y = x * scale of the row * factor, as floats.
    void (*dequantize)(const int32_t* x, const float* scale, float factor, int64_t n, float* y);
    // Lines of memory, to measure how fast they can be read at all.
    void (*read)(const uint8_t* lines, int64_t count);
    void (*part)(const PartOfProduct&);
    // Between numbers in memory and integers of 32 bits.
    void (*widen)(const uint8_t* x, Storage, int64_t n, int32_t* y);
    void (*pack)(const int32_t* x, int64_t n, Storage, uint8_t* y);
    int32_t (*byte_sum)(const int8_t* x, int64_t n);
    // Sums of `count` neighbouring rows of n bytes.
    void (*row_sums)(const int8_t* x, int64_t n, int64_t count, int32_t* y);
    void (*window_sums)(const WindowSums&);
    // x = 256 * high + low + 128.
    void (*split)(const int16_t* x, int64_t n, int8_t* high, int8_t* low);
    void (*requantize)(const Requantization&);
    void (*sum)(const WeightedSum&, int64_t n, int32_t* y);
    // y = rescale(a * b), one multiplier for all.
    void (*mul)(const int32_t* a, const int32_t* b, const Rescale&, int64_t n, int32_t* y);
    void (*map)(const int32_t* x, const Curve&, int64_t n, int32_t* y);
    void (*norm)(const int32_t* x, const Normalise&, int32_t* work, int32_t* y);
    // Shares in Q15 of n numbers, see ops.Softmax.
    void (*softmax)(const int32_t* x, const Exponent&, int64_t n, int32_t* y);
    // Their logarithms of base 2 in Q16, see ops.LogSoftmax.
    void (*log_softmax)(const int32_t* x, const Exponent&, int64_t n, int32_t* y);
    // y = root(2**16 * (sum of the squares of `inputs` vectors) + eps), its integer part.
    void (*magnitude)(const int32_t* const* x, int64_t inputs, int64_t eps, int64_t n, int32_t* y);
    void (*attend)(const Attention&);
    // Returns the sum of the weights.
    int64_t (*weigh)(const Weighing&);
    // y = rescale(mixture), which is the sum of `parts` sums, `apart` numbers from each other, over the total weight; see
    // numerics.mixture.
    void (*blend)(const int32_t* sums, int64_t parts, int64_t apart, int64_t total, const Blend&, int64_t n, int32_t* y);
    void (*depthwise)(const Depthwise&);
    // y = y + x, or the larger of both.
    void (*gather)(const uint8_t* x, Storage, bool maximum, int64_t n, int32_t* y);
    void (*lay_lines)(const KeptLines&);
    void (*kept_product)(const KeptProduct&);
    // Sums (rows, stride) of neighbouring places to sums (places, y_stride); up to three places more are written.
    void (*turn_kept)(const int32_t* sums, int64_t stride, int64_t rows, int64_t places, int32_t* y, int64_t y_stride);
    // The product of kept kernels is taken where it costs less than this share of that of all codes, in whole bytes or in
    // fewer bits: see is_faster_kept. Measured for avx512 and avx2; 0.5 leaves room where it was not.
    double kept_gain, kept_gain_of_bits;
    void (*gather_columns)(const ColumnGather&);
    ColumnCosts column_costs;
};

// All that were compiled, best first; the last, "scalar", runs everywhere.
const std::vector<const Kernels*>& all_kernels();

// Names of those that run here, best first, separated by spaces.
const std::string& target_names();

// The best that runs here, or the one called `name`. Throws std::invalid_argument if there is none.
const Kernels& find_kernels(const char* name);

// The tables of docs/internals/numerics.md, given once by the caller (see c_api.h): tanh(i / 256), tanh(i / 128),
// 2**-(i / 1024) and a turn of the sine in 4096 steps, all in Q15. Behind the last entry of fine_table it comes once more.
constexpr int64_t kTanhPoints = 1025, kExpPoints = 1024, kSinePoints = 4097;
// Entry 32 i + j of exp_table as a product, rounded from 48 fractional bits: coarse[i] * fine[j]. `exact` says whether that
// gives all entries of the table that the caller gave.
struct ExpFactors {
    uint32_t coarse[32], fine[32];
    bool exact;
};
extern ExpFactors exp_factors;
void find_exp_factors();
extern int32_t tanh_table[kTanhPoints], fine_table[kTanhPoints + 1], exp_table[kExpPoints], sine_table[kSinePoints];

}  // namespace fewbit
