// Attention: see fewbit.program.ops.attention.
#include "kinds.h"
#include "linear.h"
#include "pool.h"

namespace fewbit {
namespace {

constexpr int64_t kFewestTogether = 64;  // keys whose weighted values are summed in 32 bits

// Numbers of 16 bits that lie in the words of a state, two to a word.
using Half = int16_t __attribute__((may_alias));

// Keys and values lie head by head: (groups, keys, width). State, with a window: those of its last frames in a ring, frame t
// at place t modulo the window.
class Attend : public Op {
public:
    explicit Attend(const Plan& plan) {
        heads_ = plan.fields.number("heads", 1, kMaxFrameSize);
        groups_ = plan.fields.number("groups", 1, kMaxFrameSize);
        width_ = plan.fields.number("width", 1, kMaxFrameSize);
        places_ = plan.fields.number("places", 0, kMaxFrameSize);
        frames_ = plan.fields.number("window_frames", 0, kMaxKeys);
        exponent_ = plan.fields.exponent();
        rescale_ = plan.fields.rescale_all("rescale");
        const std::vector<int32_t> seen = plan.fields.vector("seen");
        const std::vector<Value>& inputs = plan.inputs;
        demand(inputs.size() == 3, "attention reads queries, keys and values");
        demand(heads_ % groups_ == 0, "'heads' is no multiple of 'groups'");
        const int64_t places = std::max<int64_t>(places_, 1), most = kMaxFrameSize / width_;
        demand(places <= most && heads_ <= most / places, "a frame of queries is too large");
        const int64_t sizes[3] = {places * heads_ * width_, places * groups_ * width_, places * groups_ * width_};
        for (size_t k = 0; k < 3; ++k)
            demand(inputs[k].size == sizes[k], "queries, keys or values do not fit 'heads', 'groups' and 'width'");
        const int64_t largest = width_ * inputs[0].largest() * inputs[1].largest();
        demand(largest < int64_t(1) << 45, "scores could pass 45 bits");
        wide_ = largest > INT32_MAX;
        // Fewer keys than that are not worth sums of their own.
        together_ = INT32_MAX / (int64_t(INT16_MAX) * std::max<int64_t>(inputs[2].largest(), 1));
        if (together_ < 8) together_ = 0;
        take_seen(seen);
        value = {sizes[0], rescale_.range};
    }
    bool whole() const override { return places_ == 0 && frames_ == 0; }
    int64_t state_size() const override {
        // Two vectors, each a whole number of words.
        return places_ > 0 ? 0 : 2 * ring_words();
    }
    Fault run(const Run& run) const override {
        if (run.count == 0) return Fault::kNone;
        if (places_ > 0) {
            for (int64_t t = 0; t < run.count; ++t) among(run, t * places_, places_);
        } else if (frames_ == 0) {
            among(run, 0, run.count);
        } else {
            stream(run);
        }
        return Fault::kNone;
    }

private:
    int64_t ring_words() const { return (frames_ * groups_ * width_ + 1) / 2; }

    void take_seen(const std::vector<int32_t>& seen) {
        const bool hidden = places_ > 0 && places_ <= kMaxKeys && int64_t(seen.size()) == places_ * places_;
        demand(hidden || (seen.size() == 1 && seen[0] == 1), "'seen' has no entry for each pair of places");
        for (int32_t entry : seen) demand(entry == 0 || entry == 1, "'seen' holds more than 0 and 1");
        if (!hidden) return;
        for (int64_t q = 0; q < places_; ++q)
            demand(std::count(seen.begin() + q * places_, seen.begin() + (q + 1) * places_, 1) > 0,
                   "'seen' hides all keys of a place");
        if (std::count(seen.begin(), seen.end(), 0) > 0) seen_.assign(seen.begin(), seen.end());
    }

    // Numbers first .. first + n as integers of 16 bits.
    static void to_int16(const Run& run, const Frames& in, int64_t first, int64_t n, int16_t* y) {
        int32_t* memory = workspace().read.get(kChunk);
        for (int64_t i = 0; i < n; i += kChunk) {
            const int64_t some = std::min(kChunk, n - i);
            run.kernels.pack(numbers(run.kernels, in, first + i, some, memory), some, {2, 0},
                             reinterpret_cast<uint8_t*>(y + i));
        }
    }

    // The query of head h in row r against `count` keys and values of the group of h.
    void one(const Run& run, int64_t row, int64_t head, const int16_t* keys, const int16_t* values, int64_t count,
             const uint8_t* seen) const {
        Workspace& scratch = workspace();
        const int64_t at = (row * heads_ + head) * width_;
        int16_t* query = scratch.query.get(width_);
        int32_t* y = scratch.written.get(width_);
        int64_t* scores = scratch.scores.get(count + width_);
        to_int16(run, run.in[0], at, width_, query);
        run.kernels.attend({width_, count, query, keys, values, seen, wide_, together_, exponent_, blend(), scores,
                            scratch.work.get(count), scores + count, y});
        run.kernels.pack(y, width_, run.out->storage, run.out->at(at));
    }

    Blend blend() const { return {rescale_.multiplier[0], rescale_.shift, rescale_.range.low, rescale_.range.high}; }

    // Calls part(first, last) for all heads, which the threads share if each has much to do.
    void each_head(const Run& run, int64_t queries, int64_t keys, const std::function<void(int64_t, int64_t)>& part) const {
        share(heads_ * queries * keys * width_ >= kWorthSharing ? run.threads : 1, heads_, part);
    }

    // All of `count` rows, from row `first` on, against each other.
    void among(const Run& run, int64_t first, int64_t count) const {
        if (wide_ || together_ < kFewestTogether)
            one_by_one(run, first, count);
        else
            each_head(run, count, count, [&](int64_t head, int64_t last) { by_products(run, head, last, first, count); });
    }

    // Heads `head` .. `last`: scores are products of queries and keys, mixtures those of weights and values.
    void by_products(const Run& run, int64_t head, int64_t last, int64_t first, int64_t count) const {
        Workspace& scratch = workspace();
        const int64_t size = groups_ * width_, shared = heads_ / groups_;
        const int64_t together = together_ / kFewestTogether * kFewestTogether;
        const Frames &keys = run.in[1], &values = run.in[2];
        std::vector<NumberMatrix>& parts = scratch.values_in_parts;
        const auto needed = size_t((count + together - 1) / together);
        if (parts.size() < needed) parts.resize(needed);
        for (int64_t group = -1; head < last; ++head) {
            if (head / shared != group) {
                group = head / shared;
                const int64_t at = first * size + group * width_;
                scratch.keys_as_rows.rows(keys.at(at), keys.storage, count, width_, size);
                for (int64_t j = 0; j < count; j += together)
                    parts[size_t(j / together)].columns(values.at(at + j * size), values.storage, width_,
                                                        std::min(together, count - j), size);
            }
            for (int64_t q = 0; q < count; q += kTile)
                tile(run, head, first, q, std::min(kTile, count - q), count, together);
        }
    }

    // Queries q .. q + some of a head.
    void tile(const Run& run, int64_t head, int64_t first, int64_t q, int64_t some, int64_t count,
              int64_t together) const {
        Workspace& scratch = workspace();
        const Kernels& kernels = run.kernels;
        const Matrix& keys = scratch.keys_as_rows.matrix();
        const int64_t stride = keys.padded_rows(), at = ((first + q) * heads_ + head) * width_;
        const Frames& queries = run.in[0];
        int32_t* scores = scratch.sums.get(some * stride);
        const int64_t row = heads_ * width_;
        scratch.activations.take(kernels, keys,
                              byte_rows(kernels, queries.at(at), queries.storage, some, row, width_, scratch.split));
        multiply(kernels, keys, scratch.activations, 1, scores, stride);
        const int64_t bytes = some * stride + kColumnUnit;
        int8_t *high = scratch.patches.get(2 * bytes), *low = high + bytes;
        int64_t* totals = scratch.scores.get(some);
        for (int64_t t = 0; t < some; ++t)
            totals[t] = kernels.weigh({scores + t * stride, seen_.empty() ? nullptr : seen_.data() + (q + t) * places_,
                                       exponent_, count, high + t * stride, low + t * stride});
        const int64_t parts = (count + together - 1) / together;
        const int64_t wide = scratch.values_in_parts[0].matrix().padded_rows(), apart = some * wide;
        int32_t* mixed = scratch.sums.get(parts * apart);
        for (int64_t part = 0; part < parts; ++part) {
            const Matrix& values = scratch.values_in_parts[size_t(part)].matrix();
            const int64_t j = part * together;
            scratch.activations.take(kernels, values, {{high + j, low + j}, 2, 0, some, stride});
            multiply(kernels, values, scratch.activations, 1, mixed + part * apart, wide);
        }
        int32_t* y = scratch.written.get(width_);
        for (int64_t t = 0; t < some; ++t) {
            kernels.blend(mixed + t * wide, parts, apart, totals[t], blend(), width_, y);
            kernels.pack(y, width_, run.out->storage, run.out->at(at + t * heads_ * width_));
        }
    }

    // The same where sums of products could pass 32 bits.
    void one_by_one(const Run& run, int64_t first, int64_t count) const {
        const int64_t size = groups_ * width_;
        Workspace& scratch = workspace();
        int16_t* sides[2] = {scratch.keys.get(count * size), scratch.values.get(count * size)};
        for (int64_t side = 0; side < 2; ++side)
            for (int64_t j = 0; j < count; ++j)
                for (int64_t g = 0; g < groups_; ++g)
                    to_int16(run, run.in[1 + side], (first + j) * size + g * width_, width_,
                           sides[side] + (g * count + j) * width_);
        each_head(run, count, count, [&](int64_t head, int64_t last) {
            for (; head < last; ++head) {
                const int64_t group = head / (heads_ / groups_) * count * width_;
                for (int64_t q = 0; q < count; ++q)
                    one(run, first + q, head, sides[0] + group, sides[1] + group, count,
                        seen_.empty() ? nullptr : seen_.data() + q * places_);
            }
        });
    }

    // Frame after frame against those of the window.
    void stream(const Run& run) const {
        auto* keys = reinterpret_cast<Half*>(run.state);
        auto* values = reinterpret_cast<Half*>(run.state + ring_words());
        const int64_t size = groups_ * width_;
        for (int64_t t = 0; t < run.count; ++t) {
            const int64_t now = run.before + t, place = now % frames_, count = std::min(now + 1, frames_);
            for (int64_t g = 0; g < groups_; ++g) {
                to_int16(run, run.in[1], t * size + g * width_, width_, keys + (g * frames_ + place) * width_);
                to_int16(run, run.in[2], t * size + g * width_, width_, values + (g * frames_ + place) * width_);
            }
            each_head(run, 1, count, [&](int64_t head, int64_t last) {
                for (; head < last; ++head) {
                    const int64_t group = head / (heads_ / groups_) * frames_ * width_;
                    one(run, t, head, keys + group, values + group, count, nullptr);
                }
            });
        }
    }

    int64_t heads_ = 1, groups_ = 1, width_ = 1, places_ = 0, frames_ = 0;
    Exponent exponent_{};
    OwnedRescale rescale_;
    std::vector<uint8_t> seen_;  // (places, places), empty: all
    bool wide_ = false;
    int64_t together_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_attend(const Plan& plan) { return std::make_unique<Attend>(plan); }

}  // namespace fewbit
