// The state of a beam as bytes: its memory as it lies, with a sum that finds accidents.
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "beam.h"

namespace fewbit {

namespace {

constexpr uint64_t kMagic = 0x314d414542424657;  // "WFBBEAM1"

uint64_t sum_of(const uint8_t* bytes, size_t count) {
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < count; ++i) sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

class Writer {
public:
    template <class T>
    void value(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        const auto* start = reinterpret_cast<const uint8_t*>(&value);
        bytes.insert(bytes.end(), start, start + sizeof value);
    }
    template <class T>
    void list(const std::vector<T>& list) {
        value(uint64_t(list.size()));
        const auto* start = reinterpret_cast<const uint8_t*>(list.data());
        bytes.insert(bytes.end(), start, start + list.size() * sizeof(T));
    }
    std::vector<uint8_t> bytes;
};

class Reader {
public:
    Reader(const uint8_t* bytes, size_t count) : at_(bytes), left_(count) {}
    template <class T>
    void value(T& value) {
        take(&value, sizeof value);
    }
    template <class T>
    void list(std::vector<T>& list) {
        uint64_t size;
        value(size);
        if (size > left_ / sizeof(T)) fail();
        list.resize(size);
        take(list.data(), size * sizeof(T));
    }
    void end() const {
        if (left_ != 0) fail();
    }
    [[noreturn]] static void fail() { throw std::invalid_argument("the saved state is damaged"); }

private:
    void take(void* to, size_t count) {
        if (count > left_) fail();
        if (count != 0) std::memcpy(to, at_, count);
        at_ += count, left_ -= count;
    }
    const uint8_t* at_;
    size_t left_;
};

}  // namespace

std::vector<uint8_t> Beam::save() const {
    Writer out;
    out.value(kMagic);
    out.value(options_);
    out.value(state_bytes_);
    for (int64_t number : {int64_t(root_), int64_t(best_), frame_, serial_, exponent_, held_, held_frames_, shown_best_,
                           shown_root_})
        out.value(number);
    out.list(nodes_), out.list(children_), out.list(free_), out.list(active_), out.list(weights_), out.list(states_);
    out.list(spans_);
    out.value(sum_of(out.bytes.data(), out.bytes.size()));
    return std::move(out.bytes);
}

void Beam::restore(const uint8_t* bytes, int64_t count) {
    uint64_t sum;
    if (count < int64_t(sizeof sum)) Reader::fail();
    const size_t size = size_t(count) - sizeof sum;
    std::memcpy(&sum, bytes + size, sizeof sum);
    if (sum != sum_of(bytes, size)) Reader::fail();

    Reader in(bytes, size);
    uint64_t magic;
    fewbit_beam_options options;
    int64_t state_bytes, root, best;
    in.value(magic);
    if (magic != kMagic) throw std::invalid_argument("the bytes are no saved state of this version");
    in.value(options), in.value(state_bytes);
    if (std::memcmp(&options, &options_, sizeof options) != 0 || state_bytes != state_bytes_)
        throw std::invalid_argument("the saved state is of a beam with other options or another scorer");
    Beam other = *this;
    in.value(root), in.value(best), in.value(other.frame_), in.value(other.serial_), in.value(other.exponent_);
    in.value(other.held_), in.value(other.held_frames_), in.value(other.shown_best_), in.value(other.shown_root_);
    in.list(other.nodes_), in.list(other.children_), in.list(other.free_), in.list(other.active_);
    in.list(other.weights_), in.list(other.states_), in.list(other.spans_);
    in.end();

    const size_t nodes = other.nodes_.size(), table = nodes * size_t(options.classes);
    const auto is_node = [&](int64_t i) { return i >= 0 && i < int64_t(nodes) && other.at(int32_t(i)).label >= 0; };
    bool right = is_node(root) && is_node(best) && other.children_.size() == table && !other.active_.empty() &&
                 other.weights_.size() == (scorer_ ? table : 0) && other.states_.size() == nodes * size_t(state_bytes_);
    for (const BeamNode& node : other.nodes_)
        right = right && node.label < options.classes &&
                (node.label < 0 || node.parent == -1 ||
                 (is_node(node.parent) && other.at(node.parent).serial < node.serial));
    for (int32_t i : other.children_) right = right && (i == -1 || (i >= 0 && size_t(i) < nodes));
    for (int32_t i : other.active_) right = right && is_node(i);
    for (int32_t i : other.free_) right = right && i >= 0 && size_t(i) < nodes;
    if (!right) Reader::fail();
    other.root_ = int32_t(root), other.best_ = int32_t(best);
    *this = std::move(other);
}

}  // namespace fewbit
