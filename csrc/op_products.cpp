// Dense layers: see fewbit.program.ops.products.
#include "kinds.h"
#include "linear.h"

namespace fewbit {
namespace {

class Dense : public Op {
public:
    explicit Dense(const Plan& plan) {
        std::shared_ptr<const Matrix> weight = plan.fields.any_matrix("weight");
        std::vector<int32_t> bias = plan.fields.vector("bias");
        OwnedRescale rescale = plan.fields.rescale("rescale", weight->rows);
        places_ = plan.fields.number("places", 1, kMaxFrameSize);
        const int bias_bits = int(plan.fields.number("bias_bits", 0, kMaxBiasBits));
        demand(plan.input().size == places_ * weight->columns, "the columns of 'weight' are not the numbers of a place");
        value = {places_ * weight->rows, rescale.range};
        linear_ = Linear(std::move(weight), std::move(bias), std::move(rescale), plan.input(), bias_bits);
    }
    int64_t bytes() const override { return linear_.matrix().bytes(); }
    Fault run(const Run& run) const override {
        const int64_t columns = linear_.matrix().columns, rows = run.count * places_;
        const Frames& in = run.in[0];
        linear_.run(run.kernels, run.threads,
                    byte_rows(run.kernels, in.data, in.storage, rows, columns, columns, workspace().split),
                    {run.out->data, linear_.matrix().rows, run.out->storage});
        return Fault::kNone;
    }

private:
    Linear linear_;
    int64_t places_ = 1;
};

}  // namespace

std::unique_ptr<Op> make_dense(const Plan& plan) { return std::make_unique<Dense>(plan); }

}  // namespace fewbit
