#include "ngram_api.h"

#include "guard.h"
#include "ngram.h"
#include "scorer_handle.h"

using namespace fewbit;

struct fewbit_ngram {
    std::shared_ptr<const Ngram> model;
};

extern "C" {

fewbit_ngram* fewbit_ngram_new(int64_t symbols, int64_t nodes, const int32_t* symbol, const float* ln_p,
                               const float* ln_backoff, const int32_t* first, const int32_t* shorter) {
    return guarded<fewbit_ngram*>(nullptr, [&] {
        return new fewbit_ngram{std::make_shared<const Ngram>(
            make_ngram(symbols, nodes, symbol, ln_p, ln_backoff, first, shorter))};
    });
}

void fewbit_ngram_free(fewbit_ngram* ngram) { delete ngram; }

fewbit_scorer* fewbit_scorer_chars(const fewbit_ngram* ngram, const int32_t* symbols, int64_t classes, double weight) {
    return guarded<fewbit_scorer*>(nullptr, [&] {
        demand(classes >= 2, "a scorer needs labels");
        return new fewbit_scorer{make_char_scorer(ngram->model, {symbols, symbols + classes}, float(weight))};
    });
}

fewbit_scorer* fewbit_scorer_words(const fewbit_ngram* ngram, int64_t words, const int32_t* prefix, int64_t prefixes,
                                   int64_t classes, int32_t space, const fewbit_scorer* spelling, double weight,
                                   double unknown, double word_bonus) {
    return guarded<fewbit_scorer*>(nullptr, [&] {
        LetterTrie trie;
        for (int64_t i = 0; i <= prefixes; ++i) {
            const int32_t* row = prefix + 5 * i;
            trie.prefixes.push_back({row[0], row[1], row[2], row[3], row[4]});
        }
        const WordSettings settings{words, classes, space, weight, unknown, word_bonus};
        const Scorer* letters = spelling == nullptr ? nullptr : spelling->scorer.get();
        return new fewbit_scorer{make_word_scorer(ngram->model, std::move(trie), settings, letters)};
    });
}

int64_t fewbit_scorer_classes(const fewbit_scorer* scorer) { return scorer->scorer->classes(); }

int64_t fewbit_scorer_state_bytes(const fewbit_scorer* scorer) { return scorer->scorer->state_bytes(); }

int32_t fewbit_scorer_start(const fewbit_scorer* scorer, uint8_t* state, float* ln) {
    return guarded(-1, [&] {
        scorer->scorer->start(state, ln);
        return 0;
    });
}

int32_t fewbit_scorer_step(const fewbit_scorer* scorer, int64_t count, const uint8_t* before, const int32_t* labels,
                           uint8_t* after, float* ln) {
    return guarded(-1, [&] {
        const Scorer& model = *scorer->scorer;
        const int64_t bytes = model.state_bytes(), classes = model.classes();
        std::vector<const uint8_t*> from(static_cast<size_t>(count));
        std::vector<uint8_t*> to(static_cast<size_t>(count));
        std::vector<float*> rows(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; ++i) {
            demand(labels[i] >= 1 && labels[i] < classes, "a label is out of range");
            from[size_t(i)] = before + i * bytes;
            to[size_t(i)] = after + i * bytes;
            rows[size_t(i)] = ln + i * classes;
        }
        model.step(count, from.data(), labels, to.data(), rows.data());
        return 0;
    });
}

}  // extern "C"
