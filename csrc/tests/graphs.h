// Random graphs of the operations beside those of networks.h: every target gives the integers of the first, in one piece
// and in several, and damaged states are refused or do no harm.
#pragma once

#include "networks.h"

namespace {

// Operations that are appended to networks of all targets alike.
class Graph {
public:
    Graph(Random& random, std::vector<Target>& targets, int64_t features) : random_(random), features_(features) {
        for (const Target& target : targets) {
            networks_.push_back(new_network(target.name.c_str(), features));
            demand(fewbit_network_skip(networks_.back().get(), int32_t(random.between(0, 3))) == 0, fewbit_error());
        }
    }
    // Returns the place.
    int64_t add(const char* kind, const Fields& fields, const std::vector<int64_t>& inputs, int64_t size) {
        for (const Held& network : networks_)
            demand(fields.add(network.get(), kind, inputs) == 0, text(kind, " was refused: ", fewbit_error()));
        sizes_.push_back(size);
        name_ += text(" ", kind);
        return int64_t(sizes_.size()) - 1;
    }
    Rescale rescale(int64_t outputs, Range range) {
        return random_rescale(random_, outputs, 1000, double(range.magnitude()), range);
    }
    Matrix weights(int64_t rows, int64_t columns) {
        Matrix matrix = random_matrix(random_, random_.choose(kFormats), rows, columns, random_.chance(50), 0);
        const int gone = std::string(matrix.format.name) == "binary" ? 0 : random_.choose({0, 50, 90});
        for (int64_t column = 0; column < columns; ++column)
            if (random_.chance(gone))
                for (int64_t row = 0; row < rows; ++row) matrix.codes[size_t(row * columns + column)] = 0;
        matrix.make();
        return matrix;
    }
    Codes numbers(int64_t count, Range range) {
        Codes found(static_cast<size_t>(count));
        for (int32_t& number : found) number = int32_t(random_.between(range.low, range.high));
        return found;
    }
    int64_t size(int64_t place) const { return sizes_[size_t(place)]; }
    int64_t outputs() const { return sizes_.back(); }
    int64_t inputs() const { return features_; }
    const std::vector<Held>& networks() const { return networks_; }
    const std::string& name() const { return name_; }

private:
    Random& random_;
    int64_t features_;
    std::vector<Held> networks_;
    std::vector<int64_t> sizes_;
    std::string name_;
};

constexpr Range kBytes{-127, 127};

// A picture of height x width places, convolved, pooled, normed and attended to; some of it is late.
Graph random_graph(Random& random, std::vector<Target>& targets) {
    const int64_t height = random.between(1, 6), width = random.between(1, 6), channels = random.choose({1, 4, 17, 64});
    const int64_t places = height * width, size = places * channels;
    Graph graph(random, targets, size + 1);
    Fields source, table, late, grid, depth, pool, join, norm, curve, shares, gate, clock, turns, mean, choice;
    source.floats(std::vector<float>(size_t(channels), 100.0f)).floats(std::vector<float>(size_t(channels), 1.0f));
    const int64_t x = graph.add("quantize", source.numbers({-127, 127, places, 0}), {}, size);
    const Matrix rows = graph.weights(9, channels);
    table.matrix(rows.handle).rescale(graph.rescale(9, kBytes)).numbers({1, size});
    const int64_t symbol = graph.add("lookup", table, {}, channels);

    // Two frames of lookahead in one of the branches.
    const Matrix wide = graph.weights(channels, 3 * channels * random.choose({1, 9}));
    const int64_t kernel = wide.columns / channels / 3, pad = kernel > 1 ? 1 : 0, side = kernel > 1 ? 3 : 1;
    const Range late_range = random.choose(kSignals);
    late.numbers({3, 1}).matrix(wide.handle).vector(graph.numbers(channels, {-99, 99})).rescale(graph.rescale(channels, late_range));
    late.numbers({1, 0, 2, 1}).grid(height, width, side, side, 1, pad, pad).number(random.between(0, 3));
    const int64_t early = graph.add("conv", late, {x}, size);
    const Matrix weight = graph.weights(channels, 9);
    depth.numbers({1, 1}).matrix(weight.handle).vector(Codes(size_t(channels))).rescale(graph.rescale(channels, kBytes));
    const int64_t each = graph.add("conv", depth.numbers({1, -1, 0, channels}).grid(height, width, 3, 3, 1, 1, 1).number(random.between(0, 3)), {early}, size);
    pool.numbers({random.between(0, 1), channels, 2, 1}).rescale(graph.rescale(1, kBytes)).numbers({1, 1});
    const int64_t pooled = graph.add("pool", pool.grid(height, width, 2, 2, 1, 1, 1), {each}, (height + 1) * (width + 1) * channels);
    join.vector(graph.numbers(3, {-2000, 2000})).number(3).vector({-3}).numbers({-20000, 20000});
    const int64_t sum = graph.add("sum", join, {x, symbol, each}, size);
    norm.numbers({channels, random.between(0, 1), random.between(0, 99), 3}).vector({20000}).number(12).vector({5});
    const int64_t normed = graph.add("norm", norm.numbers({-128, 127}), {sum}, size);
    curve.vector(graph.numbers(65, kInt16)).numbers({-128, 2, 8, -127, 127});
    const int64_t curved = graph.add("map", curve, {normed}, size);
    shares.numbers({channels, 3000, 8}).rescale(graph.rescale(1, {0, 127}));
    const int64_t shared = graph.add("softmax", shares, {curved}, size);
    const int64_t gated = graph.add("mul", gate.rescale(graph.rescale(1, kBytes)), {curved, shared}, size);

    Fields among, before;
    const bool wider = channels % 2 == 0;
    Codes seen = graph.numbers(places * places, {0, 1});
    for (int64_t i = 0; i < places; ++i) seen[size_t(i * places + i)] = 1;
    among.numbers({wider ? 2 : 1, wider ? 2 : 1, wider ? channels / 2 : channels, places, 0, 9000, 12});
    const int64_t met = graph.add("attend", among.rescale(graph.rescale(1, kBytes)).vector(seen), {curved, normed, sum}, size);
    before.numbers({places, places, channels, 0, random.between(1, 5), 9000, 12}).rescale(graph.rescale(1, kBytes)).vector({1});
    const int64_t remembered = graph.add("attend", before, {met, normed, gated}, size);
    const int64_t time = graph.add("positions", clock.number(3).vector(graph.numbers(3 * 200, kBytes)), {x}, 3);
    turns.vector(graph.numbers(5, kInt32)).vector(graph.numbers(5, kInt32)).rescale(graph.rescale(1, kBytes));
    const int64_t turning = graph.add("phases", turns, {x}, 5);
    const int64_t all = graph.add("mean", mean.rescale(graph.rescale(1, kBytes)), {remembered}, size);
    const int64_t once = graph.add("first", {}, {all}, size);
    const std::vector<int64_t> ends{all, once, time, turning, pooled};
    int64_t total = 0;
    for (int64_t place : ends) total += graph.size(place);
    graph.add("take", choice.vector(graph.numbers(60, {int32_t(-total), int32_t(total)})).numbers({1, 0}), ends, 60);
    return graph;
}

std::vector<float> random_input(Random& random, const Graph& graph, int64_t frames) {
    std::vector<float> x(size_t(frames * graph.inputs()));
    for (size_t i = 0; i < x.size(); ++i)
        x[i] = int64_t(i) % graph.inputs() + 1 == graph.inputs() ? float(random.between(0, 8)) : float(random.real(-1.5, 1.5));
    return x;
}

// Integers of a state that anybody may have changed.
void check_damage(Random& random, const Graph& graph, const Codes& good) {
    fewbit_network* network = graph.networks().front().get();
    const std::vector<float> x = random_input(random, graph, 3);
    std::vector<int64_t> y(size_t(6 * graph.outputs()));
    const auto step = [&](Codes state) {
        return fewbit_network_step(network, x.data(), 3, state.data(), state.data(), y.data(), 6, 1, 2, random.chance(50));
    };
    for (size_t place = 0; place < 2; ++place) {
        Codes state = good;
        state[place] ^= 1 << random.between(0, 31);
        demand(step(state) == -5, "the state of another network was taken");
    }
    Codes before = good;
    before[3] = -1;
    demand(step(before) == -5, "fewer frames than none were taken");
    before[3] = kMost32;
    demand(step(before) == -5, "more frames than all were taken");
    for (int i = 0; i < 20; ++i) {
        Codes state = good;
        for (int64_t count = random.between(1, 9); count > 0; --count)
            state[size_t(random.between(2, int64_t(state.size()) - 1))] = random.choose({kMost32, kLeast32, 0, -1, 40000});
        const int64_t written = step(state);
        demand(written == -5 || written == -3 || written >= 0, text("a damaged state: ", fewbit_error()));
    }
}

void check_graph(Random& random, std::vector<Target>& targets) {
    const Graph graph = random_graph(random, targets);
    const int64_t frames = random.choose({0, 1, 2, 5, 17}), most = frames + 9;
    const bool last = random.chance(50);
    const std::vector<float> x = random_input(random, graph, frames);
    std::vector<int64_t> wanted;
    Codes wanted_state;
    for (size_t i = 0; i < targets.size(); ++i) {
        fewbit_network* network = graph.networks()[i].get();
        demand(fewbit_network_value_bytes(network) > 0 && fewbit_network_bytes(network) > 0, "no memory");
        Codes start(size_t(fewbit_network_state_size(network))), state(start.size());
        fewbit_network_start(network, start.data());
        const auto what = [&] { return text(graph.name(), ", ", frames, " frames"); };
        for (bool pieces : {false, true}) {
            std::vector<int64_t> all;
            state = start;
            int64_t first = 0, end;
            do {
                end = pieces ? random.between(first, frames) : frames;
                std::vector<int64_t> y(size_t(most * graph.outputs()));
                const int64_t written =
                    fewbit_network_step(network, x.data() + first * graph.inputs(), end - first, state.data(), state.data(), y.data(),
                                        most, int32_t(random.between(1, 2)), random.choose({1, 2, 5, 64}), last && end == frames);
                demand(written >= 0, text(targets[i].name, ": ", what(), ": ", written, ", ", fewbit_error()));
                all.insert(all.end(), y.begin(), y.begin() + written * graph.outputs());
                first = end;
            } while (end < frames);
            if (i == 0 && !pieces) wanted = all, wanted_state = state;
            demand(all.size() == wanted.size(), text(targets[i].name, ": ", what(), ": another number of frames"));
            compare(targets[i], all.data(), wanted.data(), int64_t(all.size()) / graph.outputs(), graph.outputs(), what);
            demand(state == wanted_state, text(targets[i].name, ": ", what(), ": another state"));
        }
        ++targets[i].networks;
    }
    if (!last) check_damage(random, graph, wanted_state);
}

}  // namespace
