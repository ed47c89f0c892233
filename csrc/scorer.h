// The interface of language models for the beam search: probabilities of the next label.
#pragma once

#include <cstdint>

namespace fewbit {

class Scorer {
public:
    virtual ~Scorer() = default;
    // Labels of the alphabet and the blank, which is class 0.
    virtual int64_t classes() const = 0;
    virtual int64_t state_bytes() const = 0;
    // The start of a text: its state, and ln P of every class as the first label, weighted; ln[0] is 0.
    virtual void start(uint8_t* state, float* ln) const = 0;
    // `count` texts grow by a label each: states before and after, and ln P of every class after that label, weighted.
    virtual void step(int64_t count, const uint8_t* const* before, const int32_t* labels, uint8_t* const* after,
                      float* const* ln) const = 0;
};

}  // namespace fewbit
