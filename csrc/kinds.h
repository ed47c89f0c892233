// The table of all operations: their names in packed files, and what makes them.
#pragma once

#include "op.h"

namespace fewbit {

// One of a kind. Throws std::invalid_argument if there is no such kind, or if its fields or inputs do not fit.
std::unique_ptr<Op> make_op(const char* kind, const Plan&);

// A constructor for each kind, in op_<family>.cpp.
using Make = std::unique_ptr<Op>(const Plan&);
Make make_quantize, make_lookup;
Make make_requantize, make_sum, make_mul, make_map, make_prelu;
Make make_dense, make_conv;
Make make_sru, make_qrnn, make_lstm, make_gru, make_hierarchy;
Make make_take, make_pool, make_reverse;
Make make_norm, make_softmax, make_log_softmax, make_magnitude, make_attend;
Make make_positions, make_phases, make_mean, make_first;

}  // namespace fewbit
