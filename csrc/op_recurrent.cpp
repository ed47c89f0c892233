// Recurrent layers: see fewbit.program.ops.recurrent. States are cells and results of 16 bits, one to a word.
#include "kinds.h"
#include "linear.h"
#include "windows.h"

namespace fewbit {
namespace {

bool all_16_bits(const int32_t* state, int64_t n) {
    uint32_t beyond = 0;  // without a branch, so that the loop becomes vectors
    for (int64_t i = 0; i < n; ++i) beyond |= (uint32_t(state[i]) + 32768u) >> 16;
    return beyond == 0;
}

// Gates of 32 bits: the input half of a layer.
Linear gates_of(const Plan& plan, const Value& reads) {
    std::shared_ptr<const Matrix> weight = plan.fields.any_matrix("weight");
    std::vector<int32_t> bias = plan.fields.vector("bias");
    OwnedRescale rescale = plan.fields.rescale("rescale", weight->rows, true);
    return {std::move(weight), std::move(bias), std::move(rescale), reads};
}

Target integers(int32_t* y, int64_t stride) { return {reinterpret_cast<uint8_t*>(y), stride, {4, 0}}; }

ByteRows rows_of(const Run& run, const Frames& frames, int64_t columns) {
    return byte_rows(run.kernels, frames.data, frames.storage, frames.count, frames.size, columns, workspace().split);
}

class Sru : public Op {
public:
    explicit Sru(const Plan& plan) {
        const int64_t n = plan.fields.number("hidden", 1, kMaxFrameSize);
        gates_ = gates_of(plan, plan.input());
        cell_multiplier_ = plan.fields.integer("cell_multiplier");
        skip_multiplier_ = plan.fields.integer("skip_multiplier");
        shift_ = plan.fields.integer("shift", 0, kMaxShift);
        value = {n, plan.fields.range()};
        const Matrix& weight = gates_.matrix();
        demand(weight.columns == plan.input().size, "the columns of 'weight' are not the numbers of a frame");
        demand(weight.rows == 4 * n || (weight.rows == 3 * n && weight.columns == n), "'weight' does not fit 'hidden'");
    }
    int64_t state_size() const override { return value.size; }
    bool sound(const int32_t* state, int64_t) const override { return all_16_bits(state, value.size); }
    int64_t bytes() const override { return gates_.matrix().bytes(); }
    Fault run(const Run& run) const override {
        const int64_t rows = gates_.matrix().rows, n = value.size, numbers_out = run.count * n;
        Workspace& scratch = workspace();
        int32_t* gates = scratch.gates.get(run.count * rows);
        gates_.run(run.kernels, run.threads, rows_of(run, run.in[0], gates_.matrix().columns), integers(gates, rows));
        const bool own_skip = rows > 3 * n;
        const int32_t* skip =
            own_skip ? gates + 3 * n : numbers(run.kernels, run.in[0], 0, numbers_out, scratch.read.get(numbers_out));
        int32_t* y = scratch.written.get(numbers_out);
        run.kernels.sru({run.count, n, gates, rows, skip, own_skip ? rows : n, run.state, y, cell_multiplier_,
                         skip_multiplier_, shift_, value.range.low, value.range.high});
        run.kernels.pack(y, numbers_out, run.out->storage, run.out->data);
        return Fault::kNone;
    }

private:
    Linear gates_;
    int32_t cell_multiplier_ = 0, skip_multiplier_ = 0;
    int shift_ = 0;
};

class Qrnn : public Op {
public:
    explicit Qrnn(const Plan& plan) {
        const int64_t n = plan.fields.number("hidden", 1, kMaxFrameSize);
        const int64_t kernel = plan.fields.number("kernel", 1, kMaxFrameSize);
        gates_ = gates_of(plan, plan.input());
        output_ = plan.fields.rescale("output", n);
        value = {n, output_.range};
        windows_ = Windows({kernel, 1, kernel - 1, 0}, plan.input());
        const Matrix& weight = gates_.matrix();
        demand(weight.columns == plan.input().size * kernel, "the columns of 'weight' are not the numbers of a window");
        demand(weight.rows == 3 * n, "'weight' does not fit 'hidden'");
    }
    Window window() const override { return windows_.window(); }
    int64_t state_size() const override { return windows_.state_size() + value.size; }
    bool sound(const int32_t* state, int64_t) const override {
        return all_16_bits(state + windows_.state_size(), value.size);
    }
    int64_t bytes() const override { return gates_.matrix().bytes(); }
    Fault run(const Run& run) const override {
        Workspace& scratch = workspace();
        const Line line = windows_.take(run, scratch.line);
        const int64_t rows = gates_.matrix().rows, n = value.size;
        run.out->count = line.count;
        int32_t* gates = scratch.gates.get(line.count * rows);
        ByteRows x = rows_of(run, line.frames, line.frames.size);
        x.count = line.count;
        gates_.run(run.kernels, run.threads, x, integers(gates, rows));
        int32_t* y = scratch.written.get(line.count * n);
        run.kernels.qrnn({line.count, n, gates, rows, run.state + windows_.state_size(), y, output_.view()});
        run.kernels.pack(y, line.count * n, run.out->storage, run.out->data);
        return Fault::kNone;
    }

private:
    Linear gates_;
    OwnedRescale output_;
    Windows windows_;
};

constexpr Range kInt20{-(1 << 19), (1 << 19) - 1};

bool within(Range range, Range bounds) { return range.low >= bounds.low && range.high <= bounds.high; }

// LSTM and GRU: the input half for the whole block, the hidden half step by step. State: the result and the cell.
class Stepwise : public Op {
public:
    explicit Stepwise(const Plan& plan, int64_t blocks) {
        const int64_t n = plan.fields.number("hidden", 1, kMaxFrameSize);
        std::shared_ptr<const Matrix> weight = plan.fields.any_matrix("weight");
        std::vector<int32_t> bias = plan.fields.vector("bias");
        OwnedRescale rescale = plan.fields.rescale("rescale", weight->rows);
        std::shared_ptr<const Matrix> back = plan.fields.any_matrix("weight_hidden");
        if (blocks == 3) bias_hidden_ = plan.fields.vector("bias_hidden");
        OwnedRescale rescale_hidden = plan.fields.rescale("rescale_hidden", back->rows);
        output_ = plan.fields.rescale("output", n, true);
        fine_ = plan.fields.number("fine", 0, 1) == 1;
        const int bias_bits = int(plan.fields.number("bias_bits", 0, kMaxBiasBits));
        value = {n, output_.range};
        demand(weight->columns == plan.input().size, "the columns of 'weight' are not the numbers of a frame");
        demand(weight->rows == blocks * n && back->rows == blocks * n && back->columns == n,
               "'weight' or 'weight_hidden' does not fit 'hidden'");
        const Range half = fine_ ? kInt20 : kInt16;
        demand(within(rescale.range, half) && within(rescale_hidden.range, half), "gates leave 16 bits, or fine ones 20");
        demand(blocks == 4 || int64_t(bias_hidden_.size()) == n, "'bias_hidden' has no entry for each unit");
        // It is added to a half and the sum saturated to the bits of one: what lies beyond one bit more counts alike.
        for (int32_t& each : bias_hidden_) each = std::clamp(each, 2 * half.low, 2 * half.high + 1);
        gates_ = Linear(std::move(weight), std::move(bias), std::move(rescale), plan.input(), bias_bits);
        back_ = Linear(std::move(back), {}, std::move(rescale_hidden), value);
    }
    int64_t state_size() const override { return 2 * value.size; }
    bool sound(const int32_t* state, int64_t) const override {
        return all_16_bits(state, cell_has_32_bits() ? value.size : 2 * value.size);
    }
    int64_t bytes() const override { return gates_.matrix().bytes() + back_.matrix().bytes(); }
    Fault run(const Run& run) const override {
        if (run.count == 0) return Fault::kNone;
        Workspace& scratch = workspace();
        const int64_t rows = gates_.matrix().rows, n = value.size;
        int32_t* gates = scratch.gates.get(run.count * rows);
        int32_t* back = scratch.back.get(rows);
        int32_t* y = scratch.written.get(run.count * n);
        gates_.run(run.kernels, run.threads, rows_of(run, run.in[0], run.in[0].size), integers(gates, rows));
        const int32_t* hidden = run.state;
        for (int64_t t = 0; t < run.count; ++t) {
            back_.run_integers(run.kernels, run.threads, hidden, 1, integers(back, rows));
            step(gates + t * rows, back, run.state + n, y + t * n, run.kernels);
            hidden = y + t * n;
        }
        std::copy_n(hidden, n, run.state);
        run.kernels.pack(y, run.count * n, run.out->storage, run.out->data);
        return Fault::kNone;
    }

protected:
    virtual void step(const int32_t* gates, const int32_t* back, int32_t* cell, int32_t* y, const Kernels&) const = 0;
    virtual bool cell_has_32_bits() const { return false; }

    Linear gates_, back_;
    std::vector<int32_t> bias_hidden_;
    OwnedRescale output_;
    bool fine_ = false;
};

class Lstm : public Stepwise {
public:
    explicit Lstm(const Plan& plan) : Stepwise(plan, 4) {}

private:
    void step(const int32_t* gates, const int32_t* back, int32_t* cell, int32_t* y,
              const Kernels& kernels) const override {
        kernels.lstm({value.size, gates, back, cell, y, output_.view(), fine_});
    }
    bool cell_has_32_bits() const override { return fine_; }
};

class Gru : public Stepwise {
public:
    explicit Gru(const Plan& plan) : Stepwise(plan, 3) {}

private:
    void step(const int32_t* gates, const int32_t* back, int32_t* cell, int32_t* y,
              const Kernels& kernels) const override {
        kernels.gru({value.size, gates, back, bias_hidden_.data(), cell, y, output_.view(), fine_});
    }
};

}  // namespace

std::unique_ptr<Op> make_sru(const Plan& plan) { return std::make_unique<Sru>(plan); }
std::unique_ptr<Op> make_qrnn(const Plan& plan) { return std::make_unique<Qrnn>(plan); }
std::unique_ptr<Op> make_lstm(const Plan& plan) { return std::make_unique<Lstm>(plan); }
std::unique_ptr<Op> make_gru(const Plan& plan) { return std::make_unique<Gru>(plan); }

}  // namespace fewbit
