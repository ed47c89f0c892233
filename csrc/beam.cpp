#include "beam.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace fewbit {

namespace {

constexpr double kTiny = 1e-280;     // of the best string of the frame before: less is nothing
constexpr double kBlankHolds = 0.99;  // of the best string's probability, for an endpoint

struct Key {
    double total;
    int64_t age;
};

// e ** x / sum, which is 0 for minus infinity.
void softmax(const double* x, int64_t classes, double* y) {
    const double most = *std::max_element(x, x + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += y[k] = std::exp(x[k] - most);
    for (int64_t k = 0; k < classes; ++k) y[k] /= sum;
}

// The more probable string comes first, and of two alike the older one.
bool before(const Key& a, const Key& b) { return a.total > b.total || (a.total == b.total && a.age < b.age); }

}  // namespace

// Strings that may be active after a frame: first those that are, as they would go on, then those with a label more.
struct Beam::Frame {
    struct Candidate {
        double p_nonblank, p_blank, incoming;
        int32_t node, parent, label;  // node -1: there is none yet
    };
    std::vector<Candidate> candidates;
    std::vector<Key> keys, sorted;
    std::vector<int32_t> labels, next, dropped, fresh;
    size_t staying = 0;

    void clear() {
        candidates.clear(), keys.clear(), sorted.clear(), labels.clear(), next.clear(), dropped.clear(), fresh.clear();
    }
    void add(const Candidate& candidate, int64_t age) {
        candidates.push_back(candidate);
        keys.push_back({candidate.p_nonblank + candidate.p_blank, age});
    }
    Key last_of(size_t width) {
        if (keys.size() <= width) return {0.0, INT64_MAX};
        sorted = keys;
        std::nth_element(sorted.begin(), sorted.begin() + int64_t(width) - 1, sorted.end(), before);
        return sorted[width - 1];
    }
};

Beam::Beam(const fewbit_beam_options& options, const Scorer* scorer)
    : options_(options), scorer_(scorer), plain_(size_t(options.classes), std::exp(options.insertion_bonus)) {
    if (scorer_) state_bytes_ = (scorer_->state_bytes() + 15) / 16 * 16;
    root_ = best_ = new_node(-1, 0);
    BeamNode& root = nodes_[0];
    root.p_blank = 1;
    root.active = 1;
    active_.push_back(root_);
    if (!scorer_) return;
    std::vector<float> ln(size_t(options_.classes));
    scorer_->start(state(root_), ln.data());
    const double bonus = options_.insertion_bonus;
    for (size_t k = 1; k < size_t(options_.classes); ++k) weights_[k] = std::exp(double(ln[k]) + bonus);
    root.reach = *std::max_element(weights_.begin() + 1, weights_.begin() + options_.classes);
}

void Beam::step(const double* scores, int64_t frames) {
    thread_local Frame frame;
    thread_local std::vector<double> probabilities;
    probabilities.resize(size_t(options_.classes));
    report.clear();
    for (int64_t t = 0; t < frames; ++t) {
        double* y = probabilities.data();
        softmax(scores + t * options_.classes, options_.classes, y);
        frame.clear();
        double least = HUGE_VAL;
        for (int32_t i : active_) {
            const BeamNode& node = at(i);
            double p_nonblank = 0, incoming = 0;
            if (node.label > 0) p_nonblank = node.p_nonblank * y[node.label];
            if (node.parent >= 0 && at(node.parent).active) {
                const BeamNode& parent = at(node.parent);
                const double from = parent.label == node.label ? parent.p_blank : parent.total();
                incoming = from * (weights(node.parent)[node.label] * y[node.label]);
                p_nonblank = p_nonblank + incoming;
            }
            const double p_blank = node.total() * y[0];
            if (p_nonblank + p_blank < kTiny) {
                frame.dropped.push_back(i);
                continue;
            }
            least = std::min(least, p_nonblank + p_blank);
            frame.add({p_nonblank, p_blank, incoming, i, node.parent, node.label}, node.serial);
        }
        frame.staying = frame.candidates.size();
        // With a full beam, nothing below its last string can enter.
        if (frame.staying < size_t(options_.width)) least = kTiny;
        if (y[0] <= options_.blank_skip) expand(frame, y, least);
        if (frame.candidates.empty()) throw std::domain_error("the language model leaves no string possible");
        commit(frame, y);
        ++frame_;
        after_frame();
    }
}

void Beam::expand(Frame& frame, const double* y, double least) const {
    double farthest = 0;
    for (int32_t i : active_) farthest = std::max(farthest, at(i).total() * at(i).reach);
    // A little more, because the products below are rounded in another order.
    farthest *= 1 + 1e-9;
    for (int32_t k = 1; k < options_.classes; ++k)
        if (y[k] >= options_.floor && farthest * y[k] >= least) frame.labels.push_back(k);
    std::stable_sort(frame.labels.begin(), frame.labels.end(), [y](int32_t a, int32_t b) { return y[a] > y[b]; });
    const int64_t deepest = at(root_).depth + 2 * options_.depth + 2 * options_.prune_interval;
    int64_t age = serial_;
    for (int32_t i : active_) {
        const BeamNode& node = at(i);
        if (node.depth >= deepest) continue;
        const double total = node.total();
        const double* weight = weights(i);
        for (int32_t k : frame.labels) {
            if (total * (node.reach * y[k]) < least) break;
            const double incoming = (k == node.label ? node.p_blank : total) * (weight[k] * y[k]);
            if (incoming < least) continue;
            const int32_t old = child(i)[k];
            if (old >= 0 && at(old).active) continue;  // has got it already
            frame.add({incoming, 0, incoming, old, i, k}, old >= 0 ? at(old).serial : age++);
        }
    }
}

void Beam::commit(Frame& frame, const double* y) {
    const Key last = frame.last_of(size_t(options_.width));
    double most = 0;
    for (size_t c = 0; c < frame.candidates.size(); ++c) {
        const Frame::Candidate& candidate = frame.candidates[c];
        int32_t i = candidate.node;
        if (before(last, frame.keys[c])) {
            if (c < frame.staying) frame.dropped.push_back(i);
            continue;
        }
        if (i < 0) frame.fresh.push_back(i = new_node(candidate.parent, candidate.label));
        BeamNode& node = nodes_[size_t(i)];
        if (!node.active) node.entry = 0;
        node.active = 1;
        node.p_nonblank = candidate.p_nonblank;
        node.p_blank = candidate.p_blank;
        if (candidate.incoming > node.entry) {
            node.entry = candidate.incoming;
            node.start = node.last = frame_;
            node.prob = y[node.label];
        } else if (node.p_nonblank >= node.p_blank) {
            node.last = frame_;
            node.prob = std::max(node.prob, y[node.label]);
        }
        const bool better = node.total() > most || (node.total() == most && node.serial < at(best_).serial);
        if (better) most = node.total(), best_ = i;
        frame.next.push_back(i);
    }
    active_.swap(frame.next);
    // Powers of two, so that nothing is rounded.
    const int exponent = std::ilogb(most);
    const double scale = std::ldexp(1.0, -exponent);
    exponent_ += exponent;
    for (int32_t i : active_) {
        BeamNode& node = nodes_[size_t(i)];
        node.p_nonblank *= scale, node.p_blank *= scale, node.entry *= scale;
    }
    for (int32_t i : frame.dropped) nodes_[size_t(i)].deactivate();
    for (int32_t i : frame.dropped) remove_upwards(i);
    if (scorer_ && !frame.fresh.empty()) score(frame.fresh);
}

void Beam::score(const std::vector<int32_t>& fresh) {
    thread_local std::vector<const uint8_t*> befores;
    thread_local std::vector<uint8_t*> afters;
    thread_local std::vector<int32_t> labels;
    thread_local std::vector<float> ln;
    thread_local std::vector<float*> rows;
    const size_t count = fresh.size(), classes = size_t(options_.classes);
    befores.resize(count), afters.resize(count), labels.resize(count), rows.resize(count), ln.resize(count * classes);
    for (size_t c = 0; c < count; ++c) {
        const BeamNode& node = at(fresh[c]);
        befores[c] = state(node.parent);
        afters[c] = state(fresh[c]);
        labels[c] = node.label;
        rows[c] = ln.data() + c * classes;
    }
    scorer_->step(int64_t(count), befores.data(), labels.data(), afters.data(), rows.data());
    for (size_t c = 0; c < count; ++c) {
        double* weight = weights_.data() + size_t(fresh[c]) * classes;
        double reach = 0;
        for (size_t k = 1; k < classes; ++k) {
            weight[k] = std::exp(double(rows[c][k]) + options_.insertion_bonus);
            reach = std::max(reach, weight[k]);
        }
        nodes_[size_t(fresh[c])].reach = reach;
    }
}

int32_t Beam::new_node(int32_t parent, int32_t label) {
    const size_t classes = size_t(options_.classes);
    int32_t i = int32_t(nodes_.size());
    if (!free_.empty()) {
        i = free_.back();
        free_.pop_back();
    } else {
        nodes_.emplace_back();
        children_.resize(nodes_.size() * classes);
        if (scorer_) weights_.resize(nodes_.size() * classes), states_.resize(nodes_.size() * size_t(state_bytes_));
    }
    std::fill_n(child(i), classes, -1);
    BeamNode& node = nodes_[size_t(i)] = {};
    node.label = label;
    node.parent = parent;
    node.serial = serial_++;
    node.reach = plain_[0];
    if (parent >= 0) {
        node.depth = at(parent).depth + 1;
        ++nodes_[size_t(parent)].children;
        child(parent)[label] = i;
    }
    return i;
}

void Beam::remove(int32_t i) {
    nodes_[size_t(i)].label = -1;
    free_.push_back(i);
}

// The node and its ancestors, up to the first that is active, the root, or has other children.
void Beam::remove_upwards(int32_t i) {
    while (i != root_ && at(i).label >= 0 && !at(i).active && at(i).children == 0) {
        const int32_t parent = at(i).parent;
        child(parent)[at(i).label] = -1;
        --nodes_[size_t(parent)].children;
        remove(i);
        i = parent;
    }
}

std::vector<int32_t> Beam::path(int32_t i) const {
    std::vector<int32_t> found;
    for (; i != root_; i = at(i).parent) found.push_back(i);
    std::reverse(found.begin(), found.end());
    return found;
}

// Commits the labels up to `node`; what does not descend from it is deleted.
void Beam::move_root(int32_t node) {
    if (node == root_) return;
    const std::vector<int32_t> line = path(node);
    for (int32_t i : line) spans_.push_back({at(i).label, at(i).start, at(i).last, at(i).prob});
    const int64_t depth = at(node).depth;
    std::vector<int32_t> kept, gone;
    std::vector<int8_t> known(nodes_.size(), 0);  // 1: descends from the node, -1: does not
    known[size_t(node)] = 1;
    std::vector<int32_t> asked;
    for (int32_t i : active_) {
        asked.clear();
        int32_t at_i = i;
        while (known[size_t(at_i)] == 0 && at(at_i).depth > depth) asked.push_back(at_i), at_i = at(at_i).parent;
        const int8_t answer = known[size_t(at_i)] == 1 ? 1 : -1;
        for (int32_t j : asked) known[size_t(j)] = answer;
        (answer == 1 ? kept : gone).push_back(i);
    }
    for (int32_t i : gone) nodes_[size_t(i)].deactivate();
    for (int32_t i : gone) remove_upwards(i);
    // Of the others only the line between the two roots is left.
    for (int32_t i = at(node).parent; i >= 0; i = at(i).parent) remove(i);
    nodes_[size_t(node)].parent = -1;
    root_ = node;
    active_.swap(kept);
}

void Beam::after_frame() {
    const int64_t open = at(best_).depth - at(root_).depth;
    const bool due = frame_ % options_.prune_interval == 0;
    if (open > options_.depth + options_.prune_interval || (due && open > options_.depth)) {
        int32_t node = best_;
        for (int64_t i = 0; i < options_.depth; ++i) node = at(node).parent;
        move_root(node);
        cut_long();
    }
    const bool holds = at(best_).p_blank >= kBlankHolds * at(best_).total();
    held_frames_ = !holds ? 0 : held_ == at(best_).serial ? held_frames_ + 1 : 1;
    held_ = at(best_).serial;
    if (held_frames_ >= options_.endpoint && !empty()) {
        finish();
    } else if (frame_ % options_.show_interval == 0) {
        tell_partial();
    }
}

// An utterance without end is cut at its last committed space, so that memory stays bounded.
void Beam::cut_long() {
    if (spans_.empty() || frame_ - spans_.front().start < options_.longest) return;
    size_t cut = spans_.size(), rest = cut;
    for (size_t i = spans_.size(); i-- > 1;) {
        if (spans_[i].label != options_.space) continue;
        cut = i, rest = i + 1;
        break;
    }
    tell_final(int64_t(cut));
    spans_.erase(spans_.begin(), spans_.begin() + int64_t(rest));
    shown_best_ = shown_root_ = -1;
}

void Beam::finish() {
    if (empty()) return;
    move_root(best_);
    tell_final(int64_t(spans_.size()));
    spans_.clear();
    shown_best_ = shown_root_ = at(best_).serial;
}

void Beam::tell_partial() {
    if (at(best_).serial == shown_best_ && at(root_).serial == shown_root_) return;
    shown_best_ = at(best_).serial;
    shown_root_ = at(root_).serial;
    const int64_t open = at(best_).depth - at(root_).depth, committed = int64_t(spans_.size());
    report.insert(report.end(), {0, frame_, committed, committed + open});
    for (const TokenSpan& span : spans_) report.push_back(span.label);
    report.resize(report.size() + size_t(open));
    int64_t* end = report.data() + report.size();
    for (int32_t i = best_; i != root_; i = at(i).parent) *--end = at(i).label;
}

void Beam::tell_final(int64_t count) {
    report.insert(report.end(), {1, frame_, count});
    for (int64_t i = 0; i < count; ++i) {
        const TokenSpan& span = spans_[size_t(i)];
        report.insert(report.end(), {span.label, span.start, span.last, std::bit_cast<int64_t>(span.prob)});
    }
}

void Beam::best(int64_t count) {
    report.clear();
    std::vector<int32_t> order = active_;
    std::sort(order.begin(), order.end(), [this](int32_t a, int32_t b) {
        return before({at(a).total(), at(a).serial}, {at(b).total(), at(b).serial});
    });
    order.resize(std::min(order.size(), size_t(count)));
    for (int32_t i : order) {
        const double score = double(exponent_) * std::log(2.0) + std::log(at(i).total());
        const std::vector<int32_t> line = path(i);
        report.insert(report.end(), {2, std::bit_cast<int64_t>(score), int64_t(spans_.size() + line.size())});
        for (const TokenSpan& span : spans_) report.push_back(span.label);
        for (int32_t j : line) report.push_back(at(j).label);
    }
}

}  // namespace fewbit
