// Words of a vocabulary, or letter by letter: the sums of `fewbit.decode.OpenVocabularyLM`, but not word by word.
//
// P(w | h) = b(h) P(w | h') + excess(h w), where only the grams of h have an excess. So the sum of P over a range of
// words is a difference of running sums of the unigrams, and one of the excesses for each longer context: two searches.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "guard.h"
#include "ngram.h"

namespace fewbit {

namespace {

constexpr double kNever = -227.95592420641054;  // ln of 1e-99
constexpr double kLeast = 1e-300;
constexpr int kLongest = 32;

struct Head {
    int32_t prefix, history;  // prefix -1: the letters begin no word
    double ln_spelled;
};

// The grams of a history and of its ends, as far as they lie in a range of words.
struct Part {
    int32_t first, from, to;  // all that the context has begin at `first`
    double factor;  // back-off weights of the longer ones
};
struct Parts {
    Part part[kLongest];
    int count = 0;
    double factor = 1;  // of the unigrams
};

class WordScorer final : public Scorer {
public:
    WordScorer(std::shared_ptr<const Ngram> model, LetterTrie trie, const WordSettings& settings,
               const Scorer* spelling)
        : model_(std::move(model)), trie_(std::move(trie)), settings_(settings), spelling_(spelling) {
        letters_bytes_ = settings.classes * int64_t(sizeof(float));
        inner_ = int64_t(sizeof(Head)) + (letters_bytes_ + 7) / 8 * 8;
        sum_up();
    }

    int64_t classes() const override { return settings_.classes; }
    int64_t state_bytes() const override {
        return inner_ + (spelling_ == nullptr ? 0 : (spelling_->state_bytes() + 7) / 8 * 8);
    }

    void start(uint8_t* state, float* ln) const override {
        std::memset(state, 0, size_t(state_bytes()));
        if (spelling_ != nullptr) {
            spelling_->start(state + inner_, ln);
        } else {
            equal(ln);
        }
        finish({0, model_->start(), 0.0}, state, ln);
    }

    void step(int64_t count, const uint8_t* const* before, const int32_t* labels, uint8_t* const* after,
              float* const* ln) const override {
        thread_local std::vector<const uint8_t*> from;
        thread_local std::vector<uint8_t*> to;
        from.resize(size_t(count));
        to.resize(size_t(count));
        for (int64_t i = 0; i < count; ++i) {
            from[size_t(i)] = before[i] + inner_;
            to[size_t(i)] = after[i] + inner_;
        }
        if (spelling_ != nullptr) {
            spelling_->step(count, from.data(), labels, to.data(), ln);
        } else {
            for (int64_t i = 0; i < count; ++i) equal(ln[i]);
        }
        for (int64_t i = 0; i < count; ++i) finish(moved(before[i], labels[i]), after[i], ln[i]);
    }

private:
    void sum_up() {
        const Ngram& model = *model_;
        const int32_t end = int32_t(kSpecial + settings_.words);
        const auto is_word = [&](int32_t symbol) { return symbol >= kSpecial && symbol < end; };
        unigrams_.assign(size_t(settings_.words) + 1, 0.0);
        for (int64_t w = 0; w < settings_.words; ++w)
            unigrams_[size_t(w) + 1] =
                unigrams_[size_t(w)] + std::exp(double(model.grams[size_t(1 + kSpecial + w)].ln_p));
        running_.assign(model.grams.size(), 0.0);
        all_.assign(model.grams.size(), 0.0);
        all_[0] = unigrams_.back();
        for (size_t i = 1; i < model.grams.size(); ++i) {
            const auto& context = model.contexts[i];
            const double backoff = std::exp(double(context.ln_backoff));
            double sum = 0;
            for (int32_t g = context.first; g < (&context)[1].first; ++g) {
                const auto& gram = model.grams[size_t(g)];
                if (is_word(gram.symbol))
                    sum += std::exp(double(gram.ln_p)) - backoff * model.p(context.shorter, gram.symbol);
                running_[size_t(g)] = sum;
            }
            all_[i] = sum + backoff * all_[size_t(context.shorter)];
        }
    }

    int32_t search(int32_t from, int32_t to, int32_t symbol) const {
        const auto& grams = model_->grams;
        return int32_t(std::lower_bound(grams.begin() + from, grams.begin() + to, symbol,
                                        [](const Ngram::Gram& g, int32_t s) { return g.symbol < s; }) - grams.begin());
    }

    // The same, where the answer is likely to lie near `from`.
    int32_t search_near(int32_t from, int32_t to, int32_t symbol) const {
        const auto& grams = model_->grams;
        if (from == to || grams[size_t(from)].symbol >= symbol) return from;
        int32_t step = 1;
        for (; from + step < to && grams[size_t(from + step)].symbol < symbol; step *= 2) from += step;
        return search(from + 1, std::min(from + step, to), symbol);
    }

    Parts parts(int32_t history, int32_t low, int32_t high) const {
        Parts parts;
        while (history != 0) {
            const auto& context = model_->contexts[size_t(history)];
            const int32_t end = (&context)[1].first;
            const int32_t from = search(context.first, end, kSpecial + low);
            const int32_t to = search(from, end, kSpecial + high);
            if (from < to) parts.part[parts.count++] = {context.first, from, to, parts.factor};
            parts.factor *= std::exp(double(context.ln_backoff));
            history = context.shorter;
        }
        return parts;
    }

    // The sum of P over the words low .. high. They come in order: what lies before them is not looked at again.
    double mass(Parts& parts, int32_t low, int32_t high) const {
        double sum = parts.factor * (unigrams_[size_t(high)] - unigrams_[size_t(low)]);
        for (int i = 0; i < parts.count; ++i) {
            Part& part = parts.part[i];
            if (part.from == part.to) continue;
            part.from = search_near(part.from, part.to, kSpecial + low);
            const int32_t to = search_near(part.from, part.to, kSpecial + high);
            if (part.from < to) {
                const double before = part.from > part.first ? running_[size_t(part.from) - 1] : 0.0;
                sum += part.factor * (running_[size_t(to) - 1] - before);
            }
            part.from = to;
        }
        return std::max(sum, 0.0);
    }

    Head moved(const uint8_t* before, int32_t label) const {
        Head head;
        std::memcpy(&head, before, sizeof head);
        if (label == settings_.space) {
            if (head.prefix != 0) {
                const auto& prefix = trie_.prefixes[size_t(std::max(head.prefix, 0))];
                const bool known = head.prefix > 0 && prefix.word;
                head.history = model_->after(head.history, known ? kSpecial + prefix.low : kUnknown);
            }
            return {0, head.history, 0.0};
        }
        float ln;
        std::memcpy(&ln, before + sizeof head + size_t(label) * sizeof ln, sizeof ln);
        return {head.prefix < 0 ? -1 : trie_.child(head.prefix, label), head.history,
                head.ln_spelled + std::max(double(ln), kNever)};
    }

    // Keeps the state, and makes of ln P of the letters that of both models.
    void finish(const Head& head, uint8_t* state, float* ln) const {
        std::memcpy(state, &head, sizeof head);
        std::memcpy(state + sizeof head, ln, size_t(letters_bytes_));
        const float weight = float(settings_.weight);
        const float shift = head.prefix < 0 ? 0.0f : mixed(head, ln);
        for (int64_t c = 1; c < settings_.classes; ++c) ln[c] = weight * (std::max(ln[c], float(kNever)) + shift);
        if (head.prefix >= 0) {
            for (const auto& [label, value] : known_letters()) ln[label] = weight * value;
        }
        ln[0] = 0;
        if (head.prefix != 0) ln[settings_.space] += float(settings_.word_bonus);
    }

    struct Known {
        int32_t label;
        float ln;
    };
    static std::vector<Known>& known_letters() {
        thread_local std::vector<Known> known;
        return known;
    }

    // What the letters that continue no word gain, and, in known_letters(), ln P of those that do.
    float mixed(const Head& head, const float* ln) const {
        const auto& here = trie_.prefixes[size_t(head.prefix)];
        const double share = (1 - settings_.unknown) / all_[size_t(head.history)];
        const double spelled = std::max(settings_.unknown * std::exp(head.ln_spelled), kLeast);
        auto& known = known_letters();
        known.clear();
        Parts open = parts(head.history, here.low, here.high);
        double total = spelled;
        const auto add = [&](int32_t label, int32_t low, int32_t high) {
            const double words = share * mass(open, low, high);
            total += words;
            const double letter = std::exp(std::max(double(ln[label]), kNever));
            known.push_back({label, float(std::log(std::max(words + spelled * letter, kLeast)))});
        };
        if (here.word) add(settings_.space, here.low, here.low + 1);
        const int32_t end = (&here)[1].first;
        for (int32_t i = here.first; i < end; ++i)
            add(trie_.prefixes[size_t(i)].label, trie_.prefixes[size_t(i)].low, trie_.prefixes[size_t(i)].high);
        const float ln_total = float(std::log(total));
        for (auto& letter : known) letter.ln -= ln_total;
        return float(std::log(spelled)) - ln_total;
    }

    void equal(float* ln) const { std::fill_n(ln, settings_.classes, -std::log(float(settings_.classes - 1))); }

    std::shared_ptr<const Ngram> model_;
    LetterTrie trie_;
    WordSettings settings_;
    const Scorer* spelling_;
    int64_t letters_bytes_ = 0, inner_ = 0;  // where the state of the spelling lies
    std::vector<double> unigrams_;           // running sum of P, from 0
    std::vector<double> running_;            // of the excess, from the first gram of each context
    std::vector<double> all_;                // sum of P over all words after each context
};

void check(const LetterTrie& trie, const WordSettings& settings) {
    const int64_t count = int64_t(trie.prefixes.size()) - 1;
    demand(count >= 1 && trie.prefixes[0].first == 1 && trie.prefixes[size_t(count)].first == count,
           "the prefixes do not fill the trie");
    demand(trie.prefixes[0].low == 0 && trie.prefixes[0].high == settings.words, "the trie holds other words");
    for (int64_t i = 0; i < count; ++i) {
        const auto& prefix = trie.prefixes[size_t(i)];
        demand(prefix.first > i && prefix.first <= (&prefix)[1].first && (&prefix)[1].first <= count,
               "a prefix comes before its own");
        demand(prefix.label >= 0 && prefix.label < settings.classes && prefix.label != settings.space,
               "a letter is no class");
        int32_t low = prefix.low + (prefix.word ? 1 : 0);
        for (int32_t c = prefix.first; c < (&prefix)[1].first; ++c) {
            demand(trie.prefixes[size_t(c)].low == low, "the prefixes are not in order");
            low = trie.prefixes[size_t(c)].high;
        }
        demand(low == prefix.high && prefix.low < prefix.high, "a prefix has words that none of its own has");
    }
}

}  // namespace

std::unique_ptr<Scorer> make_word_scorer(std::shared_ptr<const Ngram> model, LetterTrie trie,
                                         const WordSettings& settings, const Scorer* spelling) {
    demand(settings.words >= 1 && kSpecial + settings.words <= model->symbols, "a word has no symbol");
    demand(settings.space >= 1 && settings.space < settings.classes, "the space is no class");
    demand(settings.unknown > 0 && settings.unknown < 1, "unknown is a probability between 0 and 1");
    demand(spelling == nullptr || spelling->classes() == settings.classes, "the spelling has other classes");
    check(trie, settings);
    return std::make_unique<WordScorer>(std::move(model), std::move(trie), settings, spelling);
}

}  // namespace fewbit
