/* N-gram models and the scorers made of them. Plain C.
 *
 * Functions that return a pointer return NULL on an error, and functions that return a number return -1;
 * fewbit_error() describes the error. Models and scorers never change: any number of threads may use them at once. */
#ifndef FEWBIT_NGRAM_API_H
#define FEWBIT_NGRAM_API_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBIT_NGRAM_API __attribute__((visibility("default")))

typedef struct fewbit_ngram fewbit_ngram;
typedef struct fewbit_scorer fewbit_scorer;

/* A trie as csrc/ngram.h describes it: arrays (nodes,), first (nodes + 1,). */
FEWBIT_NGRAM_API fewbit_ngram* fewbit_ngram_new(int64_t symbols, int64_t nodes, const int32_t* symbol,
                                                const float* ln_p,
                                                const float* ln_backoff, const int32_t* first, const int32_t* shorter);
FEWBIT_NGRAM_API void fewbit_ngram_free(fewbit_ngram*);

/* Scorers share the model, which may be freed before them. symbols: that of each class. */
FEWBIT_NGRAM_API fewbit_scorer* fewbit_scorer_chars(const fewbit_ngram*, const int32_t* symbols, int64_t classes,
                                                    double weight);
/* Words are the symbols 3 .. 3 + words. Prefixes (prefixes, 5): label, low, high, word, first; and one row more for the
 * end of the last one's children. spelling may be NULL (equal letters); it must live as long as the scorer. */
FEWBIT_NGRAM_API fewbit_scorer* fewbit_scorer_words(const fewbit_ngram*, int64_t words, const int32_t* prefix,
                                                    int64_t prefixes, int64_t classes, int32_t space,
                                                    const fewbit_scorer* spelling, double weight, double unknown,
                                                    double word_bonus);

FEWBIT_NGRAM_API int64_t fewbit_scorer_classes(const fewbit_scorer*);
FEWBIT_NGRAM_API int64_t fewbit_scorer_state_bytes(const fewbit_scorer*);
FEWBIT_NGRAM_API int32_t fewbit_scorer_start(const fewbit_scorer*, uint8_t* state, float* ln);
/* before, after (count, state_bytes); labels (count,), in 1 .. classes - 1; ln (count, classes). */
FEWBIT_NGRAM_API int32_t fewbit_scorer_step(const fewbit_scorer*, int64_t count, const uint8_t* before,
                                            const int32_t* labels, uint8_t* after, float* ln);

#ifdef __cplusplus
}
#endif
#endif
