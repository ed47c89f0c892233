// Operations that read the features of a network: see fewbit.program.ops.sources.
#include "kinds.h"

namespace fewbit {
namespace {

class Quantize : public Op {
public:
    explicit Quantize(const Plan& plan) {
        gain_ = plan.fields.floats("gain");
        offset_ = plan.fields.floats("offset");
        demand(gain_.size() == offset_.size(), "'gain' and 'offset' differ in length");
        value.range.low = plan.fields.integer("low", kInt16.low, kInt16.high);
        value.range.high = plan.fields.integer("high", value.range.low, kInt16.high);
        const int64_t repeat = plan.fields.number("repeat", 1, kMaxFrameSize), channels = int64_t(gain_.size());
        first_ = plan.fields.number("first", 0, kMaxFrameSize);
        value.size = channels * repeat;
        demand(channels <= kMaxFrameSize && first_ + value.size <= plan.features, "there are too few features");
        // Repeated until a chunk has something to do, in whole periods.
        period_ = std::min(value.size, (kChunk + channels - 1) / channels * channels);
        for (int64_t i = channels; i < period_; ++i) {
            gain_.push_back(gain_[size_t(i - channels)]);
            offset_.push_back(offset_[size_t(i - channels)]);
        }
    }
    bool source() const override { return true; }
    Fault run(const Run& run) const override {
        int32_t* codes = workspace().written.get(period_);
        bool good = true;
        for (int64_t t = 0; t < run.count; ++t)
            for (int64_t i = 0; i < value.size; i += period_) {
                const int64_t n = std::min(period_, value.size - i);
                good &= run.kernels.features(run.x + t * run.features + first_ + i, gain_.data(), offset_.data(),
                                             value.range.low, value.range.high, n, codes);
                run.kernels.pack(codes, n, run.out->storage, run.out->at(t * value.size + i));
            }
        return good ? Fault::kNone : Fault::kFeature;
    }

private:
    std::vector<float> gain_, offset_;
    int64_t first_ = 0, period_ = 0;
};

class Lookup : public Op {
public:
    explicit Lookup(const Plan& plan) {
        table_ = plan.fields.matrix("table");
        rescale_ = plan.fields.rescale("rescale", table_->rows, true);
        places_ = plan.fields.number("places", 1, kMaxFrameSize);
        first_ = plan.fields.number("first", 0, kMaxFrameSize);
        demand(table_->group_scale.empty(), "the rows of 'table' have scales per group, which a table cannot have");
        demand(first_ + places_ <= plan.features, "there are too few features");
        value = {places_ * table_->columns, rescale_.range};
    }
    bool source() const override { return true; }
    int64_t bytes() const override { return table_->bytes(); }
    Fault run(const Run& run) const override {
        const int64_t columns = table_->columns, rows = table_->rows;
        int32_t* codes = workspace().written.get(columns);
        int32_t *multiplier = workspace().read.get(kChunk), *y = workspace().work.get(kChunk);
        for (int64_t i = 0; i < run.count * places_; ++i) {
            const float symbol = run.x[i / places_ * run.features + first_ + i % places_];
            if (!(symbol >= 0 && symbol < float(rows) && symbol == float(int64_t(symbol)))) return Fault::kSymbol;
            const auto row = int64_t(symbol);
            read_row(*table_, row, codes);
            std::fill_n(multiplier, kChunk, rescale_.multiplier[size_t(row)]);
            for (int64_t c = 0; c < columns; c += kChunk) {
                const Rescale to{multiplier, rescale_.shift, rescale_.range.low, rescale_.range.high};
                const int64_t n = std::min(kChunk, columns - c);
                run.kernels.rescale(codes + c, nullptr, to, n, y);
                run.kernels.pack(y, n, run.out->storage, run.out->at(i * columns + c));
            }
        }
        return Fault::kNone;
    }

private:
    std::shared_ptr<const Matrix> table_;
    OwnedRescale rescale_;
    int64_t places_ = 1, first_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_quantize(const Plan& plan) { return std::make_unique<Quantize>(plan); }
std::unique_ptr<Op> make_lookup(const Plan& plan) { return std::make_unique<Lookup>(plan); }

}  // namespace fewbit
