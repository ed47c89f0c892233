// The fields of an operation as they come through the C interface, in the order of their declaration in fewbit.program.ops.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "c_api.h"
#include "grid.h"
#include "guard.h"
#include "kernels.h"

struct fewbit_matrix {
    std::shared_ptr<const fewbit::Matrix> matrix;
};

namespace fewbit {


// A Rescale with memory of its own, one multiplier for each of so many numbers.
struct OwnedRescale {
    std::vector<int32_t> multiplier;
    int shift = 0;
    Range range{};

    Rescale view(int64_t first = 0) const { return {multiplier.data() + first, shift, range.low, range.high}; }
};

// A vector that is repeated: kChunk entries lie one after the other behind any place.
class Periodic {
public:
    Periodic() = default;
    explicit Periodic(const std::vector<int32_t>& period) : period_(int64_t(period.size())) {
        entries_.reserve(period.size() + size_t(kChunk));
        for (int64_t i = 0; i < period_ + kChunk; ++i) entries_.push_back(period[size_t(i % period_)]);
    }
    const int32_t* at(int64_t place) const { return entries_.data() + place % period_; }
    int64_t period() const { return period_; }

private:
    int64_t period_ = 0;
    std::vector<int32_t> entries_;
};

// Reads fields one after the other. Throws std::invalid_argument where one is missing or out of its range.
class Fields {
public:
    explicit Fields(const fewbit_fields& fields) : fields_(fields) {}

    int64_t number(const char* name, int64_t low, int64_t high);
    int32_t integer(const char* name, int64_t low = INT32_MIN, int64_t high = INT32_MAX) {
        return int32_t(number(name, low, high));
    }
    std::vector<int32_t> vector(const char* name);
    std::vector<float> floats(const char* name);
    // In planes, and as it was made: the second for products that are nothing else (Linear).
    std::shared_ptr<const Matrix> matrix(const char* name);
    std::shared_ptr<const Matrix> any_matrix(const char* name);
    // With one multiplier for each of `outputs`. int16_only: results have 16 bits.
    OwnedRescale rescale(const char* name, int64_t outputs, bool int16_only = false);
    // With one multiplier for all, repeated kChunk times.
    OwnedRescale rescale_all(const char* name);
    Grid grid();
    Exponent exponent();
    Range range();
    fewbit_network* part(const char* name);
    // Throws if a field was not read.
    void end() const;

private:
    OwnedRescale rescale_of(const char* name, int64_t outputs, int64_t copies, bool int16_only);

    const fewbit_fields& fields_;
    int64_t numbers_ = 0, vectors_ = 0, matrices_ = 0, parts_ = 0;
};

// demand() with the name of a field in the message.
inline void demand_field(bool right, const char* name, const char* message) {
    if (!right) throw std::invalid_argument("'" + std::string(name) + "' " + message);
}

}  // namespace fewbit
