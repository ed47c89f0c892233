// N-gram models with back-off, and the scorers made of them (docs/methods/ngram-language-models.md).
//
// A trie, level by level, children in the order of their symbols; node 0 is the empty context, node 1 + s the symbol s
// alone. Symbols 0, 1 and 2 are <unk>, <s> and </s>. A node is also the context of what follows it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scorer.h"

namespace fewbit {

constexpr int32_t kUnknown = 0, kBegin = 1, kSpecial = 3;

struct Ngram {
    struct Gram {
        int32_t symbol;
        float ln_p;
    };
    struct Context {
        float ln_backoff;
        int32_t first;    // its grams are grams[first .. first of the next node)
        int32_t shorter;  // the longest gram that is an end of this one
        int32_t useful;   // the longest end, or this one, that says anything of what follows
    };
    int64_t symbols = 0;
    int order = 0;  // length of the longest grams
    std::vector<Gram> grams;
    std::vector<Context> contexts;  // and one more, for the end of the last one's grams

    int32_t start() const { return contexts[size_t(1 + kBegin)].useful; }
    // The gram of a context with that symbol, or -1.
    int32_t child(int32_t context, int32_t symbol) const;
    int32_t after(int32_t context, int32_t symbol) const;
    double p(int32_t context, int32_t symbol) const;
    // ln P of all symbols after a context.
    void ln_next(int32_t context, float* ln) const;
};

// All arrays (nodes,), first (nodes + 1,). Throws std::invalid_argument if they are no trie.
Ngram make_ngram(int64_t symbols, int64_t nodes, const int32_t* symbol, const float* ln_p, const float* ln_backoff,
                 const int32_t* first, const int32_t* shorter);

// The spellings of sorted words; node 0 is the empty prefix, children in the order of their labels.
struct LetterTrie {
    struct Prefix {
        int32_t label, low, high, word, first;  // it begins the words low .. high, and is word `low` itself or not
    };
    std::vector<Prefix> prefixes;  // and one more, for the end of the last one's children

    int32_t child(int32_t prefix, int32_t label) const;
};

// symbols: that of each class; those without one, which is <unk>, share its probability.
std::unique_ptr<Scorer> make_char_scorer(std::shared_ptr<const Ngram> model, std::vector<int32_t> symbols,
                                         float weight);

// Words are the symbols 3 .. 3 + words. spelling: scores the letters of unknown words; nullptr: all are equal.
struct WordSettings {
    int64_t words = 0, classes = 0;
    int32_t space = 0;
    double weight = 1, unknown = 0, word_bonus = 0;
};
std::unique_ptr<Scorer> make_word_scorer(std::shared_ptr<const Ngram> model, LetterTrie trie,
                                         const WordSettings& settings, const Scorer* spelling);

}  // namespace fewbit
