#include "ngram.h"

#include <algorithm>
#include <cmath>

#include "guard.h"

namespace fewbit {

namespace {

class CharScorer final : public Scorer {
public:
    CharScorer(std::shared_ptr<const Ngram> model, std::vector<int32_t> symbols, float weight)
        : model_(std::move(model)), symbols_(std::move(symbols)), weight_(weight) {
        const auto unknown = std::count(symbols_.begin() + 1, symbols_.end(), kUnknown);
        if (unknown > 1) share_ = -std::log(float(unknown));
    }

    int64_t classes() const override { return int64_t(symbols_.size()); }
    int64_t state_bytes() const override { return sizeof(int32_t); }
    void start(uint8_t* state, float* ln) const override { put(model_->start(), state, ln); }

    void step(int64_t count, const uint8_t* const* before, const int32_t* labels, uint8_t* const* after,
              float* const* ln) const override {
        for (int64_t i = 0; i < count; ++i) {
            int32_t context;
            std::copy_n(before[i], sizeof context, reinterpret_cast<uint8_t*>(&context));
            put(model_->after(context, symbols_[size_t(labels[i])]), after[i], ln[i]);
        }
    }

private:
    void put(int32_t context, uint8_t* state, float* ln) const {
        thread_local std::vector<float> all;
        all.resize(size_t(model_->symbols));
        model_->ln_next(context, all.data());
        all[kUnknown] += share_;
        for (size_t c = 1; c < symbols_.size(); ++c) ln[c] = weight_ * all[size_t(symbols_[c])];
        ln[0] = 0;
        std::copy_n(reinterpret_cast<const uint8_t*>(&context), sizeof context, state);
    }

    std::shared_ptr<const Ngram> model_;
    std::vector<int32_t> symbols_;
    float weight_;
    float share_ = 0;  // of a class that has no symbol, in <unk>
};

}  // namespace

int32_t Ngram::child(int32_t context, int32_t symbol) const {
    if (context == 0) return 1 + symbol;
    const auto begin = grams.begin() + contexts[size_t(context)].first;
    const auto end = grams.begin() + contexts[size_t(context) + 1].first;
    const auto place = std::lower_bound(begin, end, symbol, [](const Gram& g, int32_t s) { return g.symbol < s; });
    return place != end && place->symbol == symbol ? int32_t(place - grams.begin()) : -1;
}

int32_t Ngram::after(int32_t context, int32_t symbol) const {
    for (;;) {
        const int32_t gram = child(context, symbol);
        if (gram >= 0) return contexts[size_t(gram)].useful;
        context = contexts[size_t(context)].shorter;
    }
}

double Ngram::p(int32_t context, int32_t symbol) const {
    double ln = 0;
    for (;;) {
        const int32_t gram = child(context, symbol);
        if (gram >= 0) return std::exp(ln + grams[size_t(gram)].ln_p);
        ln += contexts[size_t(context)].ln_backoff;
        context = contexts[size_t(context)].shorter;
    }
}

void Ngram::ln_next(int32_t context, float* ln) const {
    int32_t chain[32];
    int length = 0;
    for (; context != 0; context = contexts[size_t(context)].shorter) chain[length++] = context;
    for (int64_t s = 0; s < symbols; ++s) ln[s] = grams[size_t(1 + s)].ln_p;
    while (length > 0) {
        const Context& here = contexts[size_t(chain[--length])];
        for (int64_t s = 0; s < symbols; ++s) ln[s] += here.ln_backoff;
        const int32_t end = (&here)[1].first;
        for (int32_t g = here.first; g < end; ++g) ln[grams[size_t(g)].symbol] = grams[size_t(g)].ln_p;
    }
}

Ngram make_ngram(int64_t symbols, int64_t nodes, const int32_t* symbol, const float* ln_p, const float* ln_backoff,
                 const int32_t* first, const int32_t* shorter) {
    demand(symbols >= kSpecial && nodes > symbols && nodes < INT32_MAX, "a model has nodes for all its symbols");
    demand(first[0] == 1 && first[1] == 1 + symbols && first[nodes] == nodes, "the grams do not fill the trie");
    Ngram model;
    model.symbols = symbols;
    model.grams.resize(size_t(nodes));
    model.contexts.resize(size_t(nodes) + 1);
    std::vector<int8_t> depth(size_t(nodes), 0);
    for (int64_t i = 0; i < nodes; ++i) {
        demand(first[i] > i && first[i] <= first[i + 1], "a gram comes before its context");
        for (int32_t g = first[i]; g < first[i + 1]; ++g) {
            demand(symbol[g] >= 0 && symbol[g] < symbols, "a symbol is out of range");
            demand(g == first[i] || symbol[g - 1] < symbol[g], "the grams of a context are not in order");
            demand(depth[size_t(i)] < 30, "a gram is longer than 30 symbols");
            depth[size_t(g)] = int8_t(depth[size_t(i)] + 1);
        }
        demand(i == 0 || (shorter[i] >= 0 && depth[size_t(shorter[i])] < depth[size_t(i)]),
               "a gram has no shorter one");
        model.order = std::max(model.order, int(depth[size_t(i)]));
        model.grams[size_t(i)] = {symbol[i], ln_p[i]};
        const bool useful = first[i] < first[i + 1] || ln_backoff[i] != 0 || i == 0;
        const int32_t below = i == 0 ? 0 : shorter[i];
        model.contexts[size_t(i)] = {ln_backoff[i], first[i], below,
                                     useful ? int32_t(i) : model.contexts[size_t(below)].useful};
    }
    model.contexts[size_t(nodes)].first = int32_t(nodes);
    return model;
}

int32_t LetterTrie::child(int32_t prefix, int32_t label) const {
    const int32_t end = prefixes[size_t(prefix) + 1].first;
    for (int32_t i = prefixes[size_t(prefix)].first; i < end; ++i)
        if (prefixes[size_t(i)].label == label) return i;
    return -1;
}

std::unique_ptr<Scorer> make_char_scorer(std::shared_ptr<const Ngram> model, std::vector<int32_t> symbols,
                                         float weight) {
    for (int32_t symbol : symbols) demand(symbol >= 0 && symbol < model->symbols, "a class has no symbol");
    return std::make_unique<CharScorer>(std::move(model), std::move(symbols), weight);
}

}  // namespace fewbit
