// Chains of operations with a clock for letters and one for words.
#include <algorithm>

#include "operations.h"

namespace fewbit {
namespace {

int64_t state_of(const Chain& chain) {
    int64_t size = 0;
    for (const auto& op : chain) size += op->state_size();
    return size;
}

void start(const Chain& chain, int32_t* state) {
    for (const auto& op : chain) {
        std::fill(state, state + op->state_size(), 0);
        op->start(state);
        state += op->state_size();
    }
}

int64_t widest(const Chain& chain) {
    int64_t width = 0;
    for (const auto& op : chain) width = std::max(width, op->outputs);
    return width;
}

// One frame through a chain; y may be no part of `memory`, which holds two frames of the widest op.
void run(const Chain& chain, int32_t* x, int32_t* y, int32_t* state, int32_t* memory, int64_t width, Workshop& shop) {
    Frames now{x, 1, chain.front()->inputs};
    for (size_t i = 0; i < chain.size(); ++i) {
        Frames next{i + 1 == chain.size() ? y : memory + int64_t(i % 2) * width, 1, chain[i]->outputs};
        chain[i]->run(now, next, state, shop);
        state += chain[i]->state_size();
        now = next;
    }
}

// State: of letters, words and spelling, then the results of letters and of words.
class HierarchyOp : public Op {
public:
    HierarchyOp(Hierarchy parts, int64_t width) : parts_(std::move(parts)) {
        inputs = width;
        outputs = parts_.spelling.back()->outputs;
        range = parts_.spelling.back()->range;
        letters_ = state_of(parts_.letters);
        words_ = state_of(parts_.words);
        spelling_ = state_of(parts_.spelling);
        spelt_ = parts_.letters.back()->outputs;
        context_ = parts_.words.back()->outputs;
        width_ = std::max({widest(parts_.letters), widest(parts_.words), widest(parts_.spelling)});
    }
    int64_t state_size() const override { return letters_ + words_ + spelling_ + spelt_ + context_; }
    int64_t bytes() const override {
        int64_t size = 0;
        for (const Chain* chain : {&parts_.letters, &parts_.words, &parts_.spelling})
            for (const auto& op : *chain) size += op->bytes();
        return size;
    }
    void start(int32_t* state) const override {
        fewbit::start(parts_.letters, state);
        fewbit::start(parts_.words, state + letters_);
        fewbit::start(parts_.spelling, state + letters_ + words_);
    }
    void run(const Frames& in, Frames& out, int32_t* state, Workshop& shop) const override {
        thread_local Buffer<int32_t> buffer;
        const int64_t joined = std::max(spelt_ + inputs, std::max(spelt_, inputs) + context_);
        int32_t* memory = buffer.get(2 * width_ + joined);
        int32_t* read = memory + 2 * width_;
        int32_t *words = state + letters_, *spelling = words + words_, *spelt = spelling + spelling_;
        int32_t* context = spelt + spelt_;
        for (int64_t t = 0; t < in.count; ++t) {
            int32_t* x = in.frame(t);
            const auto ends = [x](int32_t column) { return x[column] > 0; };
            if (std::any_of(parts_.boundaries.begin(), parts_.boundaries.end(), ends)) {
                std::copy_n(x, inputs, std::copy_n(spelt, spelt_, read));
                fewbit::run(parts_.words, read, context, words, memory, width_, shop);
                fewbit::start(parts_.letters, state);
                fewbit::start(parts_.spelling, spelling);
            }
            fewbit::run(parts_.letters, x, spelt, state, memory, width_, shop);
            int32_t* end = parts_.direct ? std::copy_n(x, inputs, read) : std::copy_n(spelt, spelt_, read);
            std::copy_n(context, context_, end);
            fewbit::run(parts_.spelling, read, out.frame(t), spelling, memory, width_, shop);
        }
    }

private:
    Hierarchy parts_;
    int64_t letters_, words_, spelling_, spelt_, context_, width_;
};

}  // namespace

std::unique_ptr<Op> make_hierarchy(Hierarchy parts, int64_t inputs) {
    return std::make_unique<HierarchyOp>(std::move(parts), inputs);
}

}  // namespace fewbit
