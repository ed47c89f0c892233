/* The door of the library: plain C, so that any language opens it. Arrays are copied unless said otherwise.
 *
 * Functions that return a pointer give NULL, and functions that return a number give -1, when something is wrong;
 * fewbit_error() then says what, for the thread that asks. A network and a matrix never change once they are made:
 * any number of threads may use them at once. */
#ifndef FEWBIT_C_API_H
#define FEWBIT_C_API_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBIT_ABI 2
#define FEWBIT_API __attribute__((visibility("default")))

typedef struct fewbit_matrix fewbit_matrix;
typedef struct fewbit_network fewbit_network;
/* A language model in a beam search (ngram_api.h, beam_api.h); it never changes either. */
typedef struct fewbit_scorer fewbit_scorer;

/* saturate((x * multiplier + 2**(shift - 1)) >> shift, low, high); count is 1 or the number of outputs. */
typedef struct {
    const int32_t* multiplier;
    int64_t count;
    int32_t shift, low, high;
} fewbit_rescale;

/* W x + bias, rescaled; bias may be NULL. */
typedef struct {
    const fewbit_matrix* matrix;
    const int32_t* bias;
    fewbit_rescale rescale;
} fewbit_linear;

FEWBIT_API int32_t fewbit_abi(void);
FEWBIT_API const char* fewbit_error(void);
/* Names of the targets that run here, best first, apart by spaces. */
FEWBIT_API const char* fewbit_targets(void);
/* TANH[0..1024] of docs/internals/numerics.md; to be given once, before the first network runs. */
FEWBIT_API int32_t fewbit_set_tanh(const int32_t* table, int64_t count);

/* Codes (rows, columns) in low..high, at most 8 bits wide. wide: 3, 5, 6 and 7 bits take 4 or 8, which is faster where
 * they stay in a cache. group: columns that share a scale, or 0; group_scale: (rows, groups). */
FEWBIT_API fewbit_matrix* fewbit_matrix_new(const int16_t* codes, int64_t rows, int64_t columns, int32_t low, int32_t high,
                                 int32_t wide, int64_t group, const int32_t* group_scale);
FEWBIT_API void fewbit_matrix_free(fewbit_matrix*);
FEWBIT_API int64_t fewbit_matrix_bytes(const fewbit_matrix*);
/* y (frames, rows) = W x for integers x (frames, columns) in low..high, within 16 bits. */
FEWBIT_API int32_t fewbit_matrix_multiply(const fewbit_matrix*, const char* target, const int32_t* x, int64_t frames, int32_t low,
                               int32_t high, int32_t threads, int32_t* y);
/* y (frames, rows) = scale * (W x) for floats x (frames, columns), each frame quantized to 8 bits with a step of its
 * own; scale: (rows,). */
FEWBIT_API int32_t fewbit_matrix_apply(const fewbit_matrix*, const char* target, const float* x, int64_t frames,
                            const float* scale, int32_t threads, float* y);

/* Reads `words` words of memory and nothing else, to measure how fast that is; gives their exclusive or. */
FEWBIT_API uint64_t fewbit_read(const char* target, const uint64_t* memory, int64_t words);

/* target: a name, or NULL for the best. */
FEWBIT_API fewbit_network* fewbit_network_new(const char* target, const float* gain, const float* offset, int64_t inputs,
                                   int32_t low, int32_t high);
FEWBIT_API void fewbit_network_free(fewbit_network*);
/* The network as a language model: it takes one 1 among zeros and scores as many classes, and must live as long. */
FEWBIT_API fewbit_scorer* fewbit_network_scorer_new(const fewbit_network*, float weight);
FEWBIT_API void fewbit_scorer_free(fewbit_scorer*);
FEWBIT_API int32_t fewbit_network_requantize(fewbit_network*, fewbit_rescale);
FEWBIT_API int32_t fewbit_network_conv(fewbit_network*, fewbit_linear, int64_t kernel, int64_t stride);
FEWBIT_API int32_t fewbit_network_sru(fewbit_network*, fewbit_linear, int64_t hidden, int32_t cell_multiplier,
                           int32_t skip_multiplier, int32_t shift, int32_t low, int32_t high);
FEWBIT_API int32_t fewbit_network_qrnn(fewbit_network*, fewbit_linear, int64_t hidden, int64_t kernel, fewbit_rescale output);
FEWBIT_API int32_t fewbit_network_lstm(fewbit_network*, fewbit_linear, fewbit_linear back, int64_t hidden, fewbit_rescale output);
FEWBIT_API int32_t fewbit_network_gru(fewbit_network*, fewbit_linear, fewbit_linear back, int64_t hidden,
                           const int32_t* bias_hidden, fewbit_rescale output);
/* Networks of integers in low..high, in place of features, for the parts of a hierarchy, which takes their operations
 * and leaves them empty. letters: of frames of the network; words: of a result of letters and a frame; spelling: of a
 * result of letters (direct: of a frame) and one of words. */
FEWBIT_API fewbit_network* fewbit_network_part(const fewbit_network*, int64_t inputs, int32_t low, int32_t high);
FEWBIT_API int32_t fewbit_network_hierarchy(fewbit_network*, const int32_t* boundaries, int64_t count, int32_t direct,
                           fewbit_network* letters, fewbit_network* words, fewbit_network* spelling);

FEWBIT_API const char* fewbit_network_target(const fewbit_network*);
FEWBIT_API int64_t fewbit_network_bytes(const fewbit_network*);
FEWBIT_API int64_t fewbit_network_state_size(const fewbit_network*);
FEWBIT_API int32_t fewbit_network_start(const fewbit_network*, int32_t* state);
/* x (frames, inputs); after: the state after them, state_size integers, may be the same memory as before; y (frames,
 * outputs), of which the returned number of frames are written. Runs in blocks of `block` frames. -2: a feature is NaN
 * or infinite. */
FEWBIT_API int64_t fewbit_network_step(const fewbit_network*, const float* x, int64_t frames, const int32_t* before,
                            int32_t* after, int64_t* y, int32_t threads, int64_t block);

#ifdef __cplusplus
}
#endif
#endif
