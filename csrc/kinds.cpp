#include "kinds.h"

#include <cstring>

namespace fewbit {
namespace {

struct Kind {
    const char* name;
    Make* make;
};
const Kind kKinds[] = {
    {"quantize", make_quantize},   {"requantize", make_requantize}, {"dense", make_dense},
    {"conv", make_conv},           {"sru", make_sru},               {"qrnn", make_qrnn},
    {"lstm", make_lstm},           {"gru", make_gru},               {"hierarchy", make_hierarchy},
    {"lookup", make_lookup},       {"sum", make_sum},               {"mul", make_mul},
    {"map", make_map},             {"take", make_take},             {"pool", make_pool},
    {"reverse", make_reverse},     {"norm", make_norm},             {"softmax", make_softmax},
    {"log_softmax", make_log_softmax},
    {"attend", make_attend},       {"positions", make_positions},   {"phases", make_phases},
    {"mean", make_mean},           {"first", make_first},
    {"magnitude", make_magnitude}, {"prelu", make_prelu},
};

}  // namespace

const Value& Plan::input() const {
    demand(inputs.size() == 1, "the operation reads one value");
    return inputs[0];
}

std::unique_ptr<Op> make_op(const char* kind, const Plan& plan) {
    demand(kind != nullptr, "an operation has a kind");
    for (const Kind& each : kKinds)
        if (std::strcmp(kind, each.name) == 0) {
            std::unique_ptr<Op> op = each.make(plan);
            plan.fields.end();
            demand(op->source() == plan.inputs.empty(), "a source reads features, and any other operation a value");
            return op;
        }
    throw std::invalid_argument("there is no operation of kind '" + std::string(kind) + "'");
}

}  // namespace fewbit
