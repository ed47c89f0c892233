#include "fields.h"

#include <cmath>
#include <cstring>

#include "pairs.h"

namespace fewbit {

int64_t Fields::number(const char* name, int64_t low, int64_t high) {
    demand_field(fields_.numbers != nullptr && numbers_ < fields_.number_count, name, "is missing");
    const int64_t value = fields_.numbers[numbers_++];
    demand_field(value >= low && value <= high, name, "is out of range");
    return value;
}

std::vector<int32_t> Fields::vector(const char* name) {
    demand_field(fields_.vectors != nullptr && fields_.lengths != nullptr && vectors_ < fields_.vector_count, name,
                 "is missing");
    const int32_t* entries = fields_.vectors[vectors_];
    const int64_t length = fields_.lengths[vectors_++];
    // A table of positions may be the longest: a frame of numbers each.
    demand_field(entries != nullptr && length >= 1 && length <= kMaxFrameSize * 64, name, "is no vector");
    return {entries, entries + length};
}

std::vector<float> Fields::floats(const char* name) {
    const std::vector<int32_t> bits = vector(name);
    std::vector<float> values(bits.size());
    std::memcpy(values.data(), bits.data(), bits.size() * sizeof(float));
    for (float value : values) demand_field(std::isfinite(value), name, "holds NaN or infinity");
    return values;
}

std::shared_ptr<const Matrix> Fields::matrix(const char* name) {
    std::shared_ptr<const Matrix> found = any_matrix(name);
    return found->in_pairs() ? std::make_shared<const Matrix>(in_planes(*found)) : found;
}

std::shared_ptr<const Matrix> Fields::any_matrix(const char* name) {
    demand_field(fields_.matrices != nullptr && matrices_ < fields_.matrix_count, name, "is missing");
    const fewbit_matrix* handle = fields_.matrices[matrices_++];
    demand_field(handle != nullptr, name, "is no matrix");
    return handle->matrix;
}

OwnedRescale Fields::rescale(const char* name, int64_t outputs, bool int16_only) {
    return rescale_of(name, outputs, outputs, int16_only);
}

OwnedRescale Fields::rescale_all(const char* name) { return rescale_of(name, 1, kChunk, false); }

OwnedRescale Fields::rescale_of(const char* name, int64_t outputs, int64_t copies, bool int16_only) {
    OwnedRescale found{vector(name), 0, {}};
    found.shift = integer(name, 0, kMaxShift);
    found.range = range();
    const auto count = int64_t(found.multiplier.size());
    demand_field(count == 1 || count == outputs, name, "has a wrong number of multipliers");
    if (count == 1) found.multiplier.resize(size_t(copies), found.multiplier[0]);
    demand_field(!int16_only || (found.range.low >= kInt16.low && found.range.high <= kInt16.high), name, "leaves 16 bits");
    return found;
}

Grid Fields::grid() {
    Grid grid;
    for (int64_t* size : {&grid.height, &grid.width, &grid.kernel_height, &grid.kernel_width, &grid.stride_height,
                          &grid.stride_width, &grid.dilation_height, &grid.dilation_width})
        *size = number("grid", 1, kMaxFrameSize);
    for (int64_t* pad : {&grid.top, &grid.bottom, &grid.left, &grid.right}) *pad = number("grid", 0, kMaxFrameSize);
    grid.check();
    return grid;
}

Exponent Fields::exponent() {
    const int32_t multiplier = integer("multiplier", 0, kMaxExponentMultiplier);
    return {multiplier, integer("shift", 0, kMaxShift)};
}

Range Fields::range() {
    const int32_t low = integer("low");
    const Range range{low, integer("high")};
    demand(range.low <= range.high, "the range low..high is empty");
    return range;
}

fewbit_network* Fields::part(const char* name) {
    demand_field(fields_.parts != nullptr && parts_ < fields_.part_count, name, "is missing");
    fewbit_network* part = fields_.parts[parts_++];
    demand_field(part != nullptr, name, "is no network");
    return part;
}

void Fields::end() const {
    demand(numbers_ == fields_.number_count && vectors_ == fields_.vector_count &&
               matrices_ == fields_.matrix_count && parts_ == fields_.part_count,
           "there are more fields than the kind of operation has");
}

}  // namespace fewbit
