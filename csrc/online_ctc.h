/* CTC over a window of endless streams: the recursions of one step, for training. Plain C.
 *
 * Arrays are dense, the last axis the fastest, and never overlap; what is const is read, everything else is written
 * where it is said, and nothing is kept. Class 0 is the blank. An utterance with n labels has 2 n + 1 states: blanks
 * and labels in turn. All sums are those of logarithms, in doubles: in a plain product what a long utterance still has
 * to say would vanish. */
#ifndef FEWBIT_ONLINE_CTC_H
#define FEWBIT_ONLINE_CTC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBIT_ONLINE_CTC_API __attribute__((visibility("default")))

/* What is to be done for the part of an utterance that lies in the window. */
typedef struct {
    int64_t stream, start, stop; /* frames start .. stop - 1 */
    int64_t begins;              /* whether `start` is its first frame; else it goes on from `before`, and start is 0 */
    int64_t ending;              /* 0: none; 1: it ends at `stop`; 2: any prefix of it may have been said by then */
    int64_t errors;              /* frames start .. errors - 1 get an error */
    int64_t kept;                /* the frame whose alpha goes to `after`, or -1 */
    int64_t first, labels;       /* its labels are labels[first .. first + labels - 1] */
} fewbit_online_ctc_part;

typedef struct {
    int64_t streams, frames, classes;
    int64_t parts;
    int64_t states;             /* the most of any utterance of any stream */
    int32_t force_blank_first;  /* the first frame of an utterance is blank */
} fewbit_online_ctc_extent;

/* logits: (streams, frames, classes). before: (streams, states), ln alpha at the frame before the window. errors:
 * (streams, frames, classes), gradients of the losses for the logits, written for the frames that get one. after:
 * (streams, states), written for the parts that keep theirs. scores: (parts,), ln of the probability of what was asked
 * for, -infinity where it cannot be, and then there are no errors; NaN where nothing was asked for. room:
 * (frames + 2) * states + frames + classes doubles. */
FEWBIT_ONLINE_CTC_API void fewbit_online_ctc(const fewbit_online_ctc_extent*, const fewbit_online_ctc_part* parts,
                                             const int64_t* labels, const float* logits, const double* before,
                                             float* errors, double* after, double* scores, double* room);

#ifdef __cplusplus
}
#endif
#endif
