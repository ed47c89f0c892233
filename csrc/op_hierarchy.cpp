// Chains of operations with a clock for letters and one for words: see fewbit.program.ops.hierarchy.
#include <cstring>

#include "kinds.h"
#include "network_handle.h"
#include "words.h"

namespace fewbit {
namespace {

// Operations of which each reads the one before. State: that of each of them, then how many frames the chain has had.
class Chain {
public:
    Chain() = default;
    Chain(std::vector<std::unique_ptr<Op>> ops, Value reads) : ops_(std::move(ops)), reads_(reads) {
        for (const auto& op : ops_) {
            size_ += op->state_size();
            widest_ = std::max(widest_, op->value.bytes());
        }
        widest_ = (widest_ + kColumnUnit - 1) / kColumnUnit * kColumnUnit;  // numbers behind it are aligned
    }
    const Value& reads() const { return reads_; }
    const Value& gives() const { return ops_.back()->value; }
    int64_t widest() const { return widest_; }
    int64_t state_size() const { return size_ + 2; }
    int64_t bytes() const {
        int64_t size = 0;
        for (const auto& op : ops_) size += op->bytes();
        return size;
    }
    void start(int32_t* state) const {
        std::fill(state, state + state_size(), 0);
        for (const auto& op : ops_) {
            op->start(state);
            state += op->state_size();
        }
    }
    bool sound(const int32_t* state) const {
        const int64_t frames = read_word(state + size_);
        if (!is_count(frames)) return false;
        for (const auto& op : ops_) {
            if (!op->sound(state, frames)) return false;
            state += op->state_size();
        }
        return true;
    }
    // One frame x; the result, as integers of 32 bits, goes to y. memory: two frames of the widest operation.
    Fault run(const Run& outer, Frames x, int32_t* y, int32_t* state, uint8_t* memory) const {
        int32_t* counter = state + size_;
        const int64_t before = read_word(counter);
        for (size_t i = 0; i < ops_.size(); ++i) {
            const Op& op = *ops_[i];
            Frames out{memory + int64_t(i % 2) * widest_, 1, op.value.size, op.value.storage()};
            const Run run{outer.kernels, outer.threads, &x, 1, nullptr, 0, before, false, state, &out};
            const Fault fault = op.run(run);
            if (fault != Fault::kNone) return fault;
            state += op.state_size();
            x = out;
        }
        outer.kernels.widen(x.data, x.storage, x.size, y);
        write_word(counter, before + 1);
        return Fault::kNone;
    }

private:
    std::vector<std::unique_ptr<Op>> ops_;
    Value reads_;
    int64_t size_ = 0, widest_ = 0;
};

bool covers(Range range, Range a, Range b) {
    return range.low <= std::min(a.low, b.low) && range.high >= std::max(a.high, b.high);
}

// State: of letters, words and spelling, then the results of letters and of words.
class Hierarchy : public Op {
public:
    explicit Hierarchy(const Plan& plan) {
        boundaries_ = plan.fields.vector("boundaries");
        direct_ = plan.fields.number("direct", 0, 1) == 1;
        Network* parts[3];
        for (auto& part : parts) part = &plan.fields.part("letters, words or spelling")->network;
        const Value& x = plan.input();
        for (int32_t column : boundaries_) demand(column >= 0 && column < x.size, "a boundary is no column");
        for (const Network* part : parts) part->check_part();
        demand(parts[0] != parts[1] && parts[1] != parts[2] && parts[0] != parts[2], "the parts are one and the same");
        const Value &letters = parts[0]->gives(), &words = parts[1]->gives(), &beside = direct_ ? x : letters;
        demand(parts[0]->reads().size == x.size && parts[1]->reads().size == letters.size + x.size &&
                   parts[2]->reads().size == beside.size + words.size,
               "the parts of a hierarchy do not fit together");
        demand(covers(parts[0]->reads().range, x.range, x.range) &&
                   covers(parts[1]->reads().range, letters.range, x.range) &&
                   covers(parts[2]->reads().range, beside.range, words.range),
               "a part of a hierarchy reads numbers beyond its range");
        Chain* chains[3] = {&letters_, &words_, &spelling_};
        for (int i = 0; i < 3; ++i) {
            const Value reads = parts[i]->reads();
            *chains[i] = Chain(parts[i]->give_ops(), reads);
        }
        value = spelling_.gives();
    }
    bool has_parts() const override { return true; }
    int64_t state_size() const override {
        return letters_.state_size() + words_.state_size() + spelling_.state_size() + letters_.gives().size +
               words_.gives().size;
    }
    int64_t bytes() const override { return letters_.bytes() + words_.bytes() + spelling_.bytes(); }
    void start(int32_t* state) const override {
        const Places at = places(state);
        letters_.start(at.letters);
        words_.start(at.words);
        spelling_.start(at.spelling);
    }
    bool sound(const int32_t* state, int64_t) const override {
        const Places at = places(const_cast<int32_t*>(state));
        return letters_.sound(at.letters) && words_.sound(at.words) && spelling_.sound(at.spelling);
    }
    Fault run(const Run& run) const override {
        Workspace& scratch = workspace();
        const Places at = places(run.state);
        const Frames& in = run.in[0];
        const int64_t widest = std::max({letters_.widest(), words_.widest(), spelling_.widest()});
        uint8_t* memory = scratch.chain.get(2 * widest + kColumnUnit);
        const int64_t most = std::max(words_.reads().size, spelling_.reads().size);
        int32_t* x = scratch.frame.get(in.size + most + value.size);
        int32_t *joined = x + in.size, *y = joined + most;
        Fault fault = Fault::kNone;
        const auto step = [&](const Chain& chain, const int32_t* read, int32_t* result, int32_t* state) {
            const Value& reads = chain.reads();
            uint8_t* packed = scratch.chain_input.get(reads.bytes() + kColumnUnit);
            run.kernels.pack(read, reads.size, reads.storage(), packed);
            if (fault == Fault::kNone)
                fault = chain.run(run, {packed, 1, reads.size, reads.storage()}, result, state, memory);
        };
        for (int64_t t = 0; t < run.count && fault == Fault::kNone; ++t) {
            run.kernels.widen(in.at(t * in.size), in.storage, in.size, x);
            const auto ends = [x](int32_t column) { return x[column] > 0; };
            if (std::any_of(boundaries_.begin(), boundaries_.end(), ends)) {
                std::copy_n(x, in.size, std::copy_n(at.spelt, letters_.gives().size, joined));
                step(words_, joined, at.context, at.words);
                letters_.start(at.letters);
                spelling_.start(at.spelling);
            }
            step(letters_, x, at.spelt, at.letters);
            int32_t* end = direct_ ? std::copy_n(x, in.size, joined)
                                   : std::copy_n(at.spelt, letters_.gives().size, joined);
            std::copy_n(at.context, words_.gives().size, end);
            step(spelling_, joined, y, at.spelling);
            run.kernels.pack(y, value.size, run.out->storage, run.out->at(t * value.size));
        }
        return fault;
    }

private:
    struct Places {
        int32_t *letters, *words, *spelling, *spelt, *context;
    };
    Places places(int32_t* state) const {
        Places at{};
        at.letters = state;
        at.words = at.letters + letters_.state_size();
        at.spelling = at.words + words_.state_size();
        at.spelt = at.spelling + spelling_.state_size();
        at.context = at.spelt + letters_.gives().size;
        return at;
    }

    std::vector<int32_t> boundaries_;
    bool direct_ = false;
    Chain letters_, words_, spelling_;
};

}  // namespace

std::unique_ptr<Op> make_hierarchy(const Plan& plan) { return std::make_unique<Hierarchy>(plan); }

}  // namespace fewbit
