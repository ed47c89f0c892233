/* The beam search of fewbit.TreeBeam. Plain C.
 *
 * A beam is the state of one stream. Functions that return a pointer return NULL on an error, and functions that return a
 * number return -1; fewbit_error() describes the error. A failed step leaves the beam unusable: step a copy. */
#ifndef FEWBIT_BEAM_API_H
#define FEWBIT_BEAM_API_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBIT_BEAM_API __attribute__((visibility("default")))

typedef struct fewbit_beam fewbit_beam;
typedef struct fewbit_scorer fewbit_scorer;

/* classes: labels and the blank, which is class 0. width: active strings. depth: labels that stay open.
 * prune_interval: frames between two commitments of the older labels. endpoint: frames of blank that end an utterance.
 * longest: frames after which an utterance is cut. show_interval: frames between two looks at the best string.
 * space: the label at which an utterance is cut, or -1. insertion_bonus: added to the score for every label.
 * blank_skip: a frame with a more probable blank makes no new strings. floor: a label of lower probability makes no
 * new strings. */
typedef struct {
    int64_t classes, width, depth, prune_interval, endpoint, longest, show_interval, space;
    double insertion_bonus, blank_skip, floor;
} fewbit_beam_options;

/* scorer may be NULL; it must live as long as the beam and its copies. */
FEWBIT_BEAM_API fewbit_beam* fewbit_beam_new(const fewbit_beam_options*, const fewbit_scorer* scorer);
FEWBIT_BEAM_API fewbit_beam* fewbit_beam_copy(const fewbit_beam*);
FEWBIT_BEAM_API void fewbit_beam_free(fewbit_beam*);
/* Scores (frames, classes) before the softmax; some, but not all, of a frame may be minus infinity. */
FEWBIT_BEAM_API int32_t fewbit_beam_step(fewbit_beam*, const double* scores, int64_t frames);
FEWBIT_BEAM_API int32_t fewbit_beam_finish(fewbit_beam*);
FEWBIT_BEAM_API int32_t fewbit_beam_best(fewbit_beam*, int64_t count);
/* The report of the last of these three calls, `count` integers, valid until the next call. Records follow each other:
 *   0, frames heard, labels that are committed, n, n labels              the best string has changed
 *   1, frames heard, n, n times (label, first frame, last frame, prob)   an utterance has ended
 *   2, score, n, n labels                                                one of the best strings
 * where prob and score (natural logarithm) are the bits of a double. */
FEWBIT_BEAM_API const int64_t* fewbit_beam_report(const fewbit_beam*, int64_t* count);
FEWBIT_BEAM_API int64_t fewbit_beam_nodes(const fewbit_beam*);
/* The state as bytes: with NULL, how many. They are for a beam with the same options and scorer. */
FEWBIT_BEAM_API int64_t fewbit_beam_save(const fewbit_beam*, uint8_t* bytes);
FEWBIT_BEAM_API int32_t fewbit_beam_restore(fewbit_beam*, const uint8_t* bytes, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
