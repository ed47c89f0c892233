#include "operations.h"

#include <algorithm>
#include <cstring>

namespace fewbit {

void Linear::run(const int32_t* x, int64_t frames, int64_t stride, Workshop& shop, int32_t* y,
                 int64_t y_stride) const {
    if (frames == 0) return;
    const int64_t rows = matrix->padded_rows();
    int32_t* sums = shop.sums.get(frames * rows);
    shop.activations.take(shop.kernels, *matrix, x, frames, stride, inputs.low, inputs.high);
    multiply(shop.kernels, *matrix, shop.activations, shop.threads, sums, rows);
    for (int64_t t = 0; t < frames; ++t)
        shop.kernels.rescale(sums + t * rows, bias.empty() ? nullptr : bias.data(), rescale.view(), matrix->rows,
                             y + t * y_stride);
}

namespace {

class RequantizeOp : public Op {
public:
    RequantizeOp(int64_t width, OwnedRescale rescale) : rescale_(std::move(rescale)) {
        inputs = outputs = width;
        range = rescale_.range;
    }
    void run(const Frames& in, Frames& out, int32_t*, Workshop& shop) const override {
        for (int64_t t = 0; t < in.count; ++t)
            shop.kernels.rescale(in.frame(t), nullptr, rescale_.view(), inputs, out.frame(t));
    }

private:
    OwnedRescale rescale_;
};

class LinearOp : public Op {
public:
    explicit LinearOp(Linear linear) : linear_(std::move(linear)) {
        inputs = linear_.matrix->columns;
        outputs = linear_.matrix->rows;
        range = linear_.rescale.range;
    }
    int64_t bytes() const override { return linear_.matrix->bytes(); }
    void run(const Frames& in, Frames& out, int32_t*, Workshop& shop) const override {
        linear_.run(in.data, in.count, in.stride, shop, out.data, out.stride);
    }

protected:
    Linear linear_;
};

// Windows of `kernel` frames, every `stride` frames. State: how many frames wait, and those (at most kernel - 1).
struct Windows {
    int64_t kernel, stride, width;

    int64_t state_size() const { return 1 + (kernel - 1) * width; }
    void start(int32_t* state) const { state[0] = int32_t(kernel - 1); }

    // The complete windows (count, kernel * width), which lie one on the other: their stride is stride * width.
    Frames take(const Frames& in, int32_t* state, Buffer<int32_t>& memory) const {
        const int64_t waiting = state[0], all = waiting + in.count;
        int32_t* line = memory.get(all * width);
        std::copy_n(state + 1, waiting * width, line);
        for (int64_t t = 0; t < in.count; ++t) std::copy_n(in.frame(t), width, line + (waiting + t) * width);
        const int64_t count = all < kernel ? 0 : (all - kernel) / stride + 1, left = all - count * stride;
        state[0] = int32_t(left);
        // What does not wait is zero, so that equal streams have equal states.
        int32_t* end = std::copy_n(line + count * stride * width, left * width, state + 1);
        std::fill_n(end, (kernel - 1 - left) * width, 0);
        return {line, count, stride * width};
    }
};

class ConvOp : public LinearOp {
public:
    ConvOp(Linear linear, int64_t kernel, int64_t stride)
        : LinearOp(std::move(linear)), windows_{kernel, stride, linear_.matrix->columns / kernel} {
        inputs = windows_.width;
    }
    int64_t state_size() const override { return windows_.state_size(); }
    void start(int32_t* state) const override { windows_.start(state); }
    bool keeps_count() const override { return windows_.stride == 1; }
    void run(const Frames& in, Frames& out, int32_t* state, Workshop& shop) const override {
        const Frames found = windows_.take(in, state, shop.windows);
        linear_.run(found.data, found.count, found.stride, shop, out.data, out.stride);
        out.count = found.count;
    }

private:
    Windows windows_;
};

class SruOp : public LinearOp {
public:
    SruOp(Linear linear, int64_t hidden, SruOutput output) : LinearOp(std::move(linear)), output_(output) {
        outputs = hidden;
        range = output.range;
    }
    int64_t state_size() const override { return outputs; }
    void run(const Frames& in, Frames& out, int32_t* state, Workshop& shop) const override {
        const int64_t rows = linear_.matrix->rows, n = outputs;
        int32_t* gates = shop.gates.get(in.count * rows);
        linear_.run(in.data, in.count, in.stride, shop, gates, rows);
        const bool own_skip = rows > 3 * n;
        shop.kernels.sru({in.count, n, gates, rows, own_skip ? gates + 3 * n : in.data, own_skip ? rows : in.stride,
                          state, out.data, output_.cell_multiplier, output_.skip_multiplier, output_.shift,
                          output_.range.low, output_.range.high});
    }

private:
    SruOutput output_;
};

class QrnnOp : public LinearOp {
public:
    QrnnOp(Linear linear, int64_t hidden, int64_t kernel, OwnedRescale output)
        : LinearOp(std::move(linear)), windows_{kernel, 1, linear_.matrix->columns / kernel},
          output_(std::move(output)) {
        inputs = windows_.width;
        outputs = hidden;
        range = output_.range;
    }
    int64_t state_size() const override { return windows_.state_size() + outputs; }
    void start(int32_t* state) const override { windows_.start(state); }
    void run(const Frames& in, Frames& out, int32_t* state, Workshop& shop) const override {
        const Frames found = windows_.take(in, state, shop.windows);
        const int64_t rows = linear_.matrix->rows;
        int32_t* gates = shop.gates.get(found.count * rows);
        linear_.run(found.data, found.count, found.stride, shop, gates, rows);
        shop.kernels.qrnn(
            {found.count, outputs, gates, rows, state + windows_.state_size(), out.data, output_.view()});
        out.count = found.count;
    }

private:
    Windows windows_;
    OwnedRescale output_;
};

// LSTM and GRU: the input half for the whole block, the hidden half step by step. State: h and the cell.
class StepwiseOp : public LinearOp {
public:
    StepwiseOp(Linear linear, Linear back, int64_t hidden, OwnedRescale output)
        : LinearOp(std::move(linear)), back_(std::move(back)), output_(std::move(output)) {
        outputs = hidden;
        range = output_.range;
    }
    int64_t state_size() const override { return 2 * outputs; }
    int64_t bytes() const override { return LinearOp::bytes() + back_.matrix->bytes(); }
    void run(const Frames& in, Frames& out, int32_t* state, Workshop& shop) const override {
        if (in.count == 0) return;
        const int64_t rows = linear_.matrix->rows, n = outputs;
        int32_t* gates = shop.gates.get(in.count * rows);
        int32_t* back = shop.back.get(rows);
        linear_.run(in.data, in.count, in.stride, shop, gates, rows);
        const int32_t* hidden = state;
        for (int64_t t = 0; t < in.count; ++t) {
            back_.run(hidden, 1, n, shop, back, rows);
            step(gates + t * rows, back, state + n, out.frame(t), shop.kernels);
            hidden = out.frame(t);
        }
        std::copy_n(hidden, n, state);
    }

protected:
    virtual void step(const int32_t* gates, const int32_t* back, int32_t* cell, int32_t* y, const Kernels&) const = 0;

    Linear back_;
    OwnedRescale output_;
};

class LstmOp : public StepwiseOp {
public:
    using StepwiseOp::StepwiseOp;

private:
    void step(const int32_t* gates, const int32_t* back, int32_t* cell, int32_t* y,
              const Kernels& kernels) const override {
        kernels.lstm({outputs, gates, back, cell, y, output_.view()});
    }
};

class GruOp : public StepwiseOp {
public:
    GruOp(Linear linear, Linear back, int64_t hidden, std::vector<int32_t> bias_hidden, OwnedRescale output)
        : StepwiseOp(std::move(linear), std::move(back), hidden, std::move(output)),
          bias_hidden_(std::move(bias_hidden)) {}

private:
    void step(const int32_t* gates, const int32_t* back, int32_t* cell, int32_t* y,
              const Kernels& kernels) const override {
        kernels.gru({outputs, gates, back, bias_hidden_.data(), cell, y, output_.view()});
    }

    std::vector<int32_t> bias_hidden_;
};

}  // namespace

std::unique_ptr<Op> make_requantize(int64_t width, OwnedRescale rescale) {
    return std::make_unique<RequantizeOp>(width, std::move(rescale));
}
std::unique_ptr<Op> make_conv(Linear linear, int64_t kernel, int64_t stride) {
    if (kernel == 1 && stride == 1) return std::make_unique<LinearOp>(std::move(linear));
    return std::make_unique<ConvOp>(std::move(linear), kernel, stride);
}
std::unique_ptr<Op> make_sru(Linear linear, int64_t hidden, SruOutput output) {
    return std::make_unique<SruOp>(std::move(linear), hidden, output);
}
std::unique_ptr<Op> make_qrnn(Linear linear, int64_t hidden, int64_t kernel, OwnedRescale output) {
    return std::make_unique<QrnnOp>(std::move(linear), hidden, kernel, std::move(output));
}
std::unique_ptr<Op> make_lstm(Linear linear, Linear back, int64_t hidden, OwnedRescale output) {
    return std::make_unique<LstmOp>(std::move(linear), std::move(back), hidden, std::move(output));
}
std::unique_ptr<Op> make_gru(Linear linear, Linear back, int64_t hidden, std::vector<int32_t> bias_hidden,
                             OwnedRescale output) {
    return std::make_unique<GruOp>(std::move(linear), std::move(back), hidden, std::move(bias_hidden),
                                   std::move(output));
}

}  // namespace fewbit
