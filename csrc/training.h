/* The recurrences between the matrix products, forward and backward, for training. Plain C.
 *
 * Numbers are floats (bytes = 4) or doubles (bytes = 8). Arrays are dense, the last axis the fastest, and never
 * overlap; what is const is read, everything else is written, and nothing is kept. The gates come as they leave the
 * matrix product: sigmoid and tanh are applied here, and once more on the way back, which is cheaper than to fetch
 * their values from memory. Errors are gradients of the loss; error_end may be NULL, which is zero.
 * The channels are shared out to `threads` threads where there is enough to do; the numbers do not depend on it. */
#ifndef FEWBIT_TRAINING_H
#define FEWBIT_TRAINING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBIT_TRAINING_API __attribute__((visibility("default")))

typedef struct {
    int64_t batch, frames, channels;
    int32_t bytes, threads;
} fewbit_extent;

/* c[t] = f * c[t-1] + (1 - f) * z,  y[t] = r * tanh(c[t]) + (1 - r) * skip[t];  f, r = sigmoid(gates + bias).
 * gates: (batch, frames, 3 or 4 blocks of channels) are z, f, r and skip; with three, skip: (batch, frames, channels)
 * stands apart, else it is NULL. bias: (2, channels). start, end: (batch, channels), the cells before the first frame
 * and after the last. y: (batch, frames, channels). */
FEWBIT_TRAINING_API void fewbit_sru_forward(const fewbit_extent*, const void* gates, const void* bias, const void* skip,
                                            const void* start, void* y, void* end);
/* room: (2, frames, channels), for forget gates and cells, which are computed anew. to_bias: (batch, 2, channels), to
 * be summed. to_skip: NULL if skip is. */
FEWBIT_TRAINING_API void fewbit_sru_backward(const fewbit_extent*, const void* gates, const void* bias,
                                             const void* skip, const void* start, const void* error_y,
                                             const void* error_end, void* room, void* to_gates, void* to_bias,
                                             void* to_skip, void* to_start);

/* c[t] = f * c[t-1] + (1 - f) * z,  y[t] = o * c[t];  gates: (batch, frames, 3 * channels), z, f, o = tanh, sigmoid,
 * sigmoid of them. */
FEWBIT_TRAINING_API void fewbit_qrnn_forward(const fewbit_extent*, const void* gates, const void* start, void* y,
                                             void* end);
/* room: (3, frames, channels). */
FEWBIT_TRAINING_API void fewbit_qrnn_backward(const fewbit_extent*, const void* gates, const void* start,
                                              const void* error_y, const void* error_end, void* room, void* to_gates,
                                              void* to_start);

#ifdef __cplusplus
}
#endif
#endif
