// CTC beam search over an endless stream, in a tree of label strings (docs/methods/incremental-speech-recognition.md).
//
// `src/fewbit/decode/tree_reference.py` makes the same sums and products in the same order: both give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "beam_api.h"
#include "scorer.h"

namespace fewbit {

// A string of labels: those from the root to here. 88 bytes without holes, because it is saved as it lies.
struct BeamNode {
    int32_t label, parent, children, active;  // label -1: the place is free
    int64_t depth, serial;                    // counted from the start of the stream; older nodes have smaller serials
    int64_t start, last;                      // frames: where most probability came in, where the label was last held
    double p_nonblank, p_blank;               // probability that the frame is in the label, or in the blank after it
    double entry, prob;                       // most that came in with a frame; best posterior of the label
    double reach;                             // the largest of its weights
    double total() const { return p_nonblank + p_blank; }
    void deactivate() { active = 0, p_nonblank = p_blank = 0; }
};
static_assert(sizeof(BeamNode) == 88);

struct TokenSpan {
    int64_t label, start, last;
    double prob;
};

class Beam {
public:
    // The scorer, or nullptr, must live as long as the beam and its copies.
    Beam(const fewbit_beam_options& options, const Scorer* scorer);

    // Scores (frames, classes) before the softmax. Events are appended to `report`. Throws when nothing stays possible.
    void step(const double* scores, int64_t frames);
    // Ends the utterance, if there is one.
    void finish();
    // The `count` most probable strings, to `report`.
    void best(int64_t count);
    int64_t nodes() const { return int64_t(nodes_.size() - free_.size()); }

    std::vector<uint8_t> save() const;
    void restore(const uint8_t* bytes, int64_t count);

    std::vector<int64_t> report;

private:
    struct Frame;
    int32_t new_node(int32_t parent, int32_t label);
    void expand(Frame&, const double* y, double least) const;
    void commit(Frame&, const double* y);
    void score(const std::vector<int32_t>& fresh);
    void remove_upwards(int32_t node);
    void remove(int32_t node);
    void move_root(int32_t node);
    void after_frame();
    bool empty() const { return spans_.empty() && best_ == root_; }
    void cut_long();
    void tell_partial();
    void tell_final(int64_t count);
    std::vector<int32_t> path(int32_t node) const;
    const double* weights(int32_t node) const {
        return scorer_ ? weights_.data() + int64_t(node) * options_.classes : plain_.data();
    }
    uint8_t* state(int32_t node) { return states_.data() + int64_t(node) * state_bytes_; }
    int32_t* child(int32_t node) { return children_.data() + int64_t(node) * options_.classes; }
    const int32_t* child(int32_t node) const { return children_.data() + int64_t(node) * options_.classes; }
    const BeamNode& at(int32_t node) const { return nodes_[size_t(node)]; }

    fewbit_beam_options options_;
    const Scorer* scorer_;
    int64_t state_bytes_ = 0;
    std::vector<double> plain_;  // weights of all nodes without a scorer

    std::vector<BeamNode> nodes_;
    std::vector<int32_t> children_, free_, active_;
    std::vector<double> weights_;  // e ** (scorer + insertion_bonus)
    std::vector<uint8_t> states_;
    std::vector<TokenSpan> spans_;  // labels of the utterance up to the root
    int32_t root_ = 0, best_ = 0;
    int64_t frame_ = 0, serial_ = 0, exponent_ = 0;  // probabilities are to be multiplied by 2 ** exponent
    int64_t held_ = -1, held_frames_ = 0;
    int64_t shown_best_ = 0, shown_root_ = 0;  // serials
};

}  // namespace fewbit
