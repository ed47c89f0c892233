// The fields of an operation, put together for the C interface.
#pragma once

#include <cstring>
#include <memory>

#include "products.h"

namespace {

class Fields {
public:
    Fields& number(int64_t value) { return numbers_.push_back(value), *this; }
    Fields& numbers(std::initializer_list<int64_t> values) { return numbers_.insert(numbers_.end(), values), *this; }
    Fields& vector(const Codes& entries) { return vectors_.push_back(entries), *this; }
    Fields& floats(const std::vector<float>& values) {
        Codes bits(values.size());
        std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
        return vector(bits);
    }
    Fields& rescale(const Rescale& rescale) {
        return vector(rescale.multiplier).numbers({rescale.shift, rescale.range.low, rescale.range.high});
    }
    Fields& matrix(const std::shared_ptr<fewbit_matrix>& matrix) { return matrices_.push_back(matrix.get()), *this; }
    Fields& part(fewbit_network* part) { return parts_.push_back(part), *this; }
    // A grid of one place, or of (height, width, kernel height, kernel width, stride, padding on every side).
    Fields& grid(int64_t height = 1, int64_t width = 1, int64_t kernel_height = 1, int64_t kernel_width = 1,
                 int64_t stride = 1, int64_t top = 0, int64_t left = 0) {
        return numbers({height, width, kernel_height, kernel_width, stride, stride, 1, 1, top, top, left, left});
    }

    // Appends the operation, whose inputs have these places.
    int32_t add(fewbit_network* network, const char* kind, const std::vector<int64_t>& inputs) const {
        std::vector<const int32_t*> vectors;
        std::vector<int64_t> lengths;
        for (const Codes& entries : vectors_) {
            vectors.push_back(entries.data());
            lengths.push_back(int64_t(entries.size()));
        }
        return fewbit_network_add(network, kind, inputs.data(), int64_t(inputs.size()),
                                  {numbers_.data(), int64_t(numbers_.size()), vectors.data(), lengths.data(),
                                   int64_t(vectors.size()), matrices_.data(), int64_t(matrices_.size()), parts_.data(),
                                   int64_t(parts_.size())});
    }

    // What the refusals change.
    std::vector<int64_t> numbers_;
    std::vector<Codes> vectors_;
    std::vector<const fewbit_matrix*> matrices_;
    std::vector<fewbit_network*> parts_;
};

using Held = std::shared_ptr<fewbit_network>;
Held new_network(const char* target, int64_t features) { return Held(fewbit_network_new(target, features), fewbit_network_free); }

}  // namespace
