// A packed network as a character language model.
#pragma once

#include "network.h"
#include "scorer.h"

namespace fewbit {

// Labels go in one-hot, scores in Q10 come out. Class 0 of the input is the start of a text; the score of class 0 is
// ignored. The network must live as long.
class NetworkScorer : public Scorer {
public:
    NetworkScorer(const Network& network, float weight) : network_(network), weight_(weight) {}
    int64_t classes() const override { return network_.outputs(); }
    int64_t state_bytes() const override { return network_.state_size() * int64_t(sizeof(int32_t)); }
    void start(uint8_t* state, float* ln) const override;
    void step(int64_t count, const uint8_t* const* before, const int32_t* labels, uint8_t* const* after,
              float* const* ln) const override;

private:
    void run(int32_t label, int32_t* state, float* ln) const;
    const Network& network_;
    float weight_;
};

}  // namespace fewbit
