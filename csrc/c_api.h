/* The C interface of the library, for any language. Arrays are copied unless a comment says otherwise.
 *
 * Functions that return a pointer return NULL on an error, and functions that return a number return -1;
 * fewbit_error() then describes the error of the calling thread. A network and a matrix never change once they are made:
 * any number of threads may use them at once. */
#ifndef FEWBIT_C_API_H
#define FEWBIT_C_API_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBIT_ABI 7
#define FEWBIT_API __attribute__((visibility("default")))

typedef struct fewbit_matrix fewbit_matrix;
typedef struct fewbit_network fewbit_network;
/* A language model in a beam search (ngram_api.h, beam_api.h); it never changes either. */
typedef struct fewbit_scorer fewbit_scorer;

/* The fields of an operation, in the order of their declaration in fewbit.program.ops. An integer is a number. A Rescale is
 * a vector, its multipliers, and three numbers: shift, low, high. A Grid is 12 numbers. Vectors have 32 bits: floats come
 * as their bits. A part is made by fewbit_network_part. */
typedef struct {
    const int64_t* numbers;
    int64_t number_count;
    const int32_t* const* vectors;
    const int64_t* lengths; /* of the vectors */
    int64_t vector_count;
    const fewbit_matrix* const* matrices;
    int64_t matrix_count;
    fewbit_network* const* parts;
    int64_t part_count;
} fewbit_fields;

FEWBIT_API int32_t fewbit_abi(void);
FEWBIT_API const char* fewbit_error(void);
/* Names of the targets that run here, best first, separated by spaces. */
FEWBIT_API const char* fewbit_targets(void);
/* A table of docs/internals/numerics.md: "tanh" (1025 points), "fine" (1025), "exp" (1024) or "sine" (4097), each within
 * -32768..32767. Set it once, before the first network runs. */
FEWBIT_API int32_t fewbit_set_table(const char* name, const int32_t* points, int64_t count);

/* Codes (rows, columns) in low..high, at most 8 bits wide. storing: 0 in as few bits as they need; 1: 3, 5, 6 and 7 bits
 * take 4 or 8, which is faster where they stay in a cache; 2: codes -1, 0, +1, of each eight columns at most two that are not
 * 0, a byte for the eight. group: columns that share a scale, or 0; group_scale: (rows, groups). */
FEWBIT_API fewbit_matrix* fewbit_matrix_new(const int16_t* codes, int64_t rows, int64_t columns, int32_t low, int32_t high,
                                 int32_t storing, int64_t group, const int32_t* group_scale);
FEWBIT_API void fewbit_matrix_free(fewbit_matrix*);
FEWBIT_API int64_t fewbit_matrix_bytes(const fewbit_matrix*);
/* y (frames, rows) = W x for integers x (frames, columns) in low..high, within 16 bits. */
FEWBIT_API int32_t fewbit_matrix_multiply(const fewbit_matrix*, const char* target, const int32_t* x, int64_t frames, int32_t low,
                               int32_t high, int32_t threads, int32_t* y);
/* y (frames, rows) = scale * (W x) for floats x (frames, columns), each frame quantized to 8 bits with a step of its
 * own; scale: (rows,). */
FEWBIT_API int32_t fewbit_matrix_apply(const fewbit_matrix*, const char* target, const float* x, int64_t frames,
                            const float* scale, int32_t threads, float* y);

/* Reads `bytes` bytes of memory `repeats` times, to measure the speed of reading; whole lines of 64 bytes only. */
FEWBIT_API int32_t fewbit_read(const char* target, const void* memory, int64_t bytes, int64_t repeats);
/* Does one part of the work of a product with `frames` frames `repeats` times, to measure it: 0 reads the weights, 1 reads
 * and unpacks them, 2 multiplies as often as the product does, from registers. */
FEWBIT_API int32_t fewbit_matrix_part(const fewbit_matrix*, const char* target, int32_t part, int64_t frames, int64_t repeats,
                           int32_t threads);

/* target: a name, or NULL for the best. features: of a frame, which the sources read. */
FEWBIT_API fewbit_network* fewbit_network_new(const char* target, int64_t features);
/* A network of integers in low..high, for a part of an operation of the given network. fewbit_network_add moves its
 * operations out and leaves it empty. */
FEWBIT_API fewbit_network* fewbit_network_part(const fewbit_network*, int64_t inputs, int32_t low, int32_t high);
FEWBIT_API void fewbit_network_free(fewbit_network*);
/* Whether convolutions that are added from now on leave out kernels (what joins an input map to an output map) or columns
 * (what all rows multiply one number of a window with) of zeros: 0 where that is faster, as is the default; 1 kernels
 * wherever they can; 2 nothing; 3 columns wherever they can. The integers are the same. */
FEWBIT_API int32_t fewbit_network_skip(fewbit_network*, int32_t skipping);
/* Appends an operation. inputs: indices of the operations that it reads; a source has none. Each operation of a part reads
 * the one before it; the first has -1 and reads the input of the part. Nothing else may use the network meanwhile. */
FEWBIT_API int32_t fewbit_network_add(fewbit_network*, const char* kind, const int64_t* inputs, int64_t input_count,
                                      fewbit_fields fields);

FEWBIT_API const char* fewbit_network_target(const fewbit_network*);
/* Memory of the weights, and of all values between operations for one frame. */
FEWBIT_API int64_t fewbit_network_bytes(const fewbit_network*);
FEWBIT_API int64_t fewbit_network_value_bytes(const fewbit_network*);
/* A state belongs to one network, whatever process made it; the state of another network is refused. */
FEWBIT_API int64_t fewbit_network_state_size(const fewbit_network*);
FEWBIT_API int32_t fewbit_network_start(const fewbit_network*, int32_t* state);
/* x (frames, features). after: the state after them, state_size integers; it may be the memory of `before`. y (most,
 * outputs): the returned number of frames is written; more than `most` are an error. Runs in blocks of `block`
 * frames. last: the stream ends with these frames: windows that look ahead are completed, and the state after is that of a
 * new stream.
 *
 * -2: a feature is NaN or infinite. -3: the network knows fewer positions than the input is long. -4: a symbol is no integer
 * in the range of its table. -5: the state is damaged, or of another network. After any of them `after` is invalid. */
FEWBIT_API int64_t fewbit_network_step(const fewbit_network*, const float* x, int64_t frames, const int32_t* before,
                                       int32_t* after, int64_t* y, int64_t most, int32_t threads, int64_t block,
                                       int32_t last);

/* The network as a language model: it takes one-hot labels and scores as many classes. It must outlive the scorer. */
FEWBIT_API fewbit_scorer* fewbit_network_scorer_new(const fewbit_network*, float weight);
FEWBIT_API void fewbit_scorer_free(fewbit_scorer*);

#ifdef __cplusplus
}
#endif
#endif
