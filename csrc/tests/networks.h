// Random networks of every operation, as plain loops and as streams on every target.
#pragma once

#include <thread>

#include "fields.h"

namespace {

enum class Kind { kRequantize, kDense, kConv, kSru, kQrnn, kLstm, kGru };
const Kind kKinds[] = {Kind::kRequantize, Kind::kDense, Kind::kConv, Kind::kSru, Kind::kQrnn, Kind::kLstm, Kind::kGru};
const char* const kKindNames[] = {"requantize", "dense", "conv", "sru", "qrnn", "lstm", "gru"};
constexpr Range kInt16{-32768, 32767}, kInt32{kLeast32, kMost32};
const Range kSignals[] = {{-128, 127}, {-127, 127}, {0, 255}, {-1, 1}, {0, 3}, {-8, 7}, {-1000, 500}, {-32768, 32767},
                          {3, 200},    {-90, -20},  {0, 1}};

struct Layer {
    Kind kind{};
    int64_t inputs = 0, outputs = 0, kernel = 1, stride = 1;
    Matrix matrix, back;
    Codes bias, bias_hidden;
    Rescale rescale, rescale_back, output;
    int32_t cell_multiplier = 0, skip_multiplier = 0;  // of an SRU, whose shift and range are those of `output`

    std::string name() const {
        std::string name = kKindNames[int(kind)];
        if (kind != Kind::kRequantize) name += " " + matrix.name();
        if (kernel > 1) name += text(" kernel ", kernel, " stride ", stride);
        return text(name, " -> ", text(range()));
    }
    Range range() const {
        return kind == Kind::kRequantize || kind == Kind::kDense || kind == Kind::kConv ? rescale.range : output.range;
    }
    // Reads operation `place`.
    int32_t append(fewbit_network* network, int64_t place) const {
        Fields fields;
        const auto linear = [&] {
            fields.matrix(matrix.handle).vector(bias.empty() ? Codes(size_t(matrix.rows)) : bias).rescale(rescale);
        };
        if (kind == Kind::kRequantize) {
            fields.number(inputs).rescale(rescale);
        } else if (kind == Kind::kDense) {
            linear();
            fields.numbers({1, 0});
        } else if (kind == Kind::kConv) {
            fields.numbers({kernel, stride});
            linear();
            fields.numbers({1, -1, 0, 1}).grid().number(0);
        } else {
            fields.number(outputs);
            if (kind == Kind::kQrnn) fields.number(kernel);
            linear();
            if (kind == Kind::kSru)
                fields.numbers({cell_multiplier, skip_multiplier, output.shift, output.range.low, output.range.high});
            if (kind == Kind::kLstm || kind == Kind::kGru) fields.matrix(back.handle);
            if (kind == Kind::kGru) fields.vector(bias_hidden);
            if (kind == Kind::kLstm || kind == Kind::kGru) fields.rescale(rescale_back);
            if (kind != Kind::kSru) fields.rescale(output);
            if (kind == Kind::kLstm || kind == Kind::kGru) fields.numbers({0, 0});
        }
        return fields.add(network, kKindNames[int(kind)], {place});
    }

    // All frames of a stream at once.
    Codes run(const Codes& x) const {
        const int64_t frames = int64_t(x.size()) / inputs;
        if (kind == Kind::kRequantize) {
            Codes y(x.size());
            for (size_t i = 0; i < x.size(); ++i) y[i] = int32_t(rescale(x[i], int64_t(i) % inputs));
            return y;
        }
        const Codes gates = gates_of(x, frames);
        const int64_t rows = matrix.rows, n = outputs;
        if (kind == Kind::kDense || kind == Kind::kConv) return gates;
        std::vector<int64_t> cell(static_cast<size_t>(n));
        Codes hidden(static_cast<size_t>(n)), y;
        for (int64_t t = 0; t < frames; ++t) {
            const int32_t* a = gates.data() + t * rows;
            Codes fresh;
            for (int64_t i = 0; i < n; ++i) {
                int64_t& c = cell[size_t(i)];
                const auto b = [&](int64_t block) {
                    return rescale_back(back.product(block * n + i, hidden.data()), block * n + i);
                };
                int64_t result = 0;
                if (kind == Kind::kSru) {
                    c = saturate16(mix(sigmoid15(a[n + i]), c, a[i]));
                    const int64_t r = sigmoid15(a[2 * n + i]), skip = rows > 3 * n ? a[3 * n + i] : x[size_t(t * n + i)];
                    const int64_t inner = shift_round(r * tanh15(c), 15);
                    result = saturate(shift_round(inner * cell_multiplier + (32768 - r) * skip * skip_multiplier, output.shift),
                                      output.range.low, output.range.high);
                } else if (kind == Kind::kQrnn) {
                    c = mix(sigmoid15(a[n + i]), c, tanh15(a[i]));
                    result = output(shift_round(sigmoid15(a[2 * n + i]) * c, 15), i);
                } else if (kind == Kind::kLstm) {
                    const int64_t in = sigmoid15(saturate16(a[i] + b(0))), forget = sigmoid15(saturate16(a[n + i] + b(1)));
                    const int64_t g = tanh15(saturate16(a[2 * n + i] + b(2))), o = sigmoid15(saturate16(a[3 * n + i] + b(3)));
                    c = saturate16(shift_round(8 * forget * c + in * g, 18));
                    result = output(shift_round(o * tanh15(c), 15), i);
                } else {
                    const int64_t r = sigmoid15(saturate16(a[i] + b(0))), z = sigmoid15(saturate16(a[n + i] + b(1)));
                    const int64_t d = saturate16(b(2) + bias_hidden[size_t(i)]);
                    c = mix(z, c, tanh15(saturate16(a[2 * n + i] + shift_round(r * d, 15))));
                    result = output(c, i);
                }
                fresh.push_back(int32_t(result));
            }
            hidden = fresh;
            y.insert(y.end(), fresh.begin(), fresh.end());
        }
        return y;
    }

private:
    // rescale(W window + bias) for every window.
    Codes gates_of(const Codes& x, int64_t frames) const {
        Codes gates, window(size_t(kernel * inputs));
        for (int64_t t = 0; t < frames; t += stride) {
            for (int64_t k = 0; k < kernel; ++k)
                for (int64_t i = 0; i < inputs; ++i) {
                    const int64_t from = t - kernel + 1 + k;
                    window[size_t(k * inputs + i)] = from < 0 ? 0 : x[size_t(from * inputs + i)];
                }
            for (int64_t r = 0; r < matrix.rows; ++r) {
                const int64_t sum = matrix.product(r, window.data()) + (bias.empty() ? 0 : bias[size_t(r)]);
                gates.push_back(int32_t(rescale(sum, r)));
            }
        }
        return gates;
    }
};

// What takes sums of about `size` to about `wanted`, or now and then to the ends of the range or to nothing.
Rescale random_rescale(Random& random, int64_t outputs, double size, double wanted, Range range) {
    Rescale rescale;
    rescale.range = range;
    rescale.multiplier.resize(random.chance(30) ? 1 : size_t(outputs));
    int exponent = 0;
    const double fraction = std::frexp(wanted / std::max(size, 1.0), &exponent);
    rescale.shift = int(saturate(30 - exponent, 0, 62));
    const int64_t kind = random.between(0, 19);
    for (int32_t& by : rescale.multiplier) {
        by = int32_t(random.real(0.5, 1) * fraction * (1 << 30)) * (random.chance(50) ? -1 : 1);
        if (kind == 0) by = random.choose({kMost32, -kMost32, 0});
    }
    if (kind == 1) rescale.shift = int(random.between(0, 62));
    return rescale;
}

Matrix random_weights(Random& random, int64_t rows, int64_t columns, Range inputs) {
    const int64_t group = random.chance(15) ? random.choose({1, 5, 16, 64}) : 0;
    Matrix matrix = random_matrix(random, random.choose(kFormats), rows, columns, random.chance(50), group);
    // Sums stay below 2**30, as fewbit.pack demands.
    for (int64_t r = 0; r < rows; ++r) {
        int64_t left = (1 << 30) - 1;
        for (int64_t i = 0; i < columns; ++i) {
            int16_t& code = matrix.codes[size_t(r * columns + i)];
            const int64_t most = std::abs(code) * inputs.magnitude();
            if (most > left) code = 0;
            else left -= most;
        }
    }
    matrix.make();
    return matrix;
}

double usual_size(const Matrix& matrix, Range inputs) {
    return std::sqrt(double(matrix.columns)) * double(matrix.format.range.magnitude() + 1) * double(inputs.magnitude()) / 4;
}

Layer random_layer(Random& random, Kind kind, int64_t inputs, Range range, bool last) {
    const int64_t sizes[] = {1, 3, 16, 17, 33, 64, 65, 100};
    Layer layer;
    layer.kind = kind;
    layer.inputs = inputs;
    Range result = random.choose(kSignals);
    const double half = double(result.magnitude()) / 2;
    if (kind == Kind::kRequantize) {
        layer.outputs = inputs;
        layer.rescale = random_rescale(random, inputs, double(range.magnitude()), half, result);
        return layer;
    }
    layer.outputs = random.choose(sizes);
    const bool cell = kind != Kind::kDense && kind != Kind::kConv;
    if (kind == Kind::kConv || kind == Kind::kQrnn) layer.kernel = random.between(1, 4);
    if (kind == Kind::kConv) layer.stride = random.between(1, layer.kernel);
    const bool same = kind == Kind::kSru && random.chance(60);
    if (same) layer.outputs = inputs;
    const int64_t blocks = !cell ? 1 : kind == Kind::kLstm || (kind == Kind::kSru && !same) ? 4 : 3, n = layer.outputs;
    layer.matrix = random_weights(random, blocks * n, layer.kernel * inputs, range);
    const double size = usual_size(layer.matrix, range);
    if (random.chance(70)) {
        layer.bias.resize(size_t(blocks * n));
        const double most = random.chance(15) ? double(1 << 30) : std::min(size, double(1 << 30));
        for (int32_t& bias : layer.bias) bias = int32_t(random.real(-most, most));
        if (random.chance(10)) fill(random, layer.bias, {-(1 << 30), 1 << 30});
    }
    if (!cell) {
        if (last && random.chance(40)) result = random.choose({kInt32, Range{0, kMost32}});
        layer.rescale = random_rescale(random, n, size, result.high == kMost32 ? 1e5 : half, result);
        return layer;
    }
    const Range gates = random.chance(80) ? kInt16 : random.choose({Range{-4096, 4095}, Range{0, 32767}, Range{-32768, -32768}});
    layer.rescale = random_rescale(random, blocks * n, size, 10000, gates);
    if (kind == Kind::kSru) {
        layer.output = random_rescale(random, 1, 1, 1, result);
        layer.output.shift = int(random.between(20, 62));
        const double by = std::ldexp(double(result.magnitude()), layer.output.shift - 15);
        layer.cell_multiplier = int32_t(saturate(int64_t(std::min(by, 1e10)), -kMost32, kMost32));
        layer.skip_multiplier = int32_t(std::min(by / double(same ? range.magnitude() + 1 : 32768), double(kMost32)));
        if (random.chance(10)) layer.cell_multiplier = -kMost32, layer.skip_multiplier = kMost32;
        return layer;
    }
    layer.output = random_rescale(random, n, 32768, double(result.magnitude()), result);
    if (kind == Kind::kQrnn) return layer;
    layer.back = random_weights(random, blocks * n, n, result);
    layer.rescale_back = random_rescale(random, blocks * n, usual_size(layer.back, result), 10000, gates);
    layer.bias_hidden.resize(size_t(n));
    fill(random, layer.bias_hidden, random.chance(80) ? kInt16 : kInt32);
    return layer;
}

struct Network {
    std::vector<float> gain, offset;
    Range codes{};
    std::vector<Layer> layers;

    int64_t inputs() const { return int64_t(gain.size()); }
    int64_t outputs() const { return layers.empty() ? inputs() : layers.back().outputs; }
    Range range() const { return layers.empty() ? codes : layers.back().range(); }
    std::string name() const {
        std::string name = text(inputs(), " features to ", text(codes));
        for (const Layer& layer : layers) name += "; " + layer.name();
        return name;
    }
    std::shared_ptr<fewbit_network> open(const std::string& target) const {
        const Held network = new_network(target.c_str(), inputs());
        demand(network != nullptr, text(name(), " was refused: ", fewbit_error()));
        Fields source;
        source.floats(gain).floats(offset).numbers({codes.low, codes.high, 1, 0});
        demand(source.add(network.get(), "quantize", {}) == 0, text(name(), " was refused: ", fewbit_error()));
        for (size_t i = 0; i < layers.size(); ++i)
            demand(layers[i].append(network.get(), int64_t(i)) == 0,
                   text(name(), ": ", layers[i].name(), " was refused: ", fewbit_error()));
        demand(fewbit_network_target(network.get()) == target, "the network has another target");
        return network;
    }
    Codes run(const std::vector<float>& x) const {
        Codes signal(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
            const size_t k = i % gain.size();
            const double value = std::floor(double(x[i]) * double(gain[k]) + double(offset[k]) + 0.5);
            signal[i] = int32_t(std::min(std::max(value, double(codes.low)), double(codes.high)));
        }
        for (const Layer& layer : layers) signal = layer.run(signal);
        return signal;
    }
};

Network random_network(Random& random, const std::vector<Kind>& kinds, bool last = true) {
    Network network;
    const int64_t inputs = random.choose({1, 3, 17, 40, 64, 65});
    network.codes = random.choose(kSignals);
    for (int64_t i = 0; i < inputs; ++i) {
        network.gain.push_back(float(random.real(-1, 1) * double(network.codes.magnitude())));
        network.offset.push_back(random.chance(30) ? 0.0f : float(random.real(-1, 1) * double(network.codes.magnitude()) / 4));
    }
    for (size_t i = 0; i < kinds.size(); ++i)
        network.layers.push_back(
            random_layer(random, kinds[i], network.outputs(), network.range(), last && i + 1 == kinds.size()));
    return network;
}

template <class Net>
std::vector<float> random_features(Random& random, const Net& network, int64_t frames) {
    std::vector<float> x(size_t(frames * network.inputs()));
    for (size_t i = 0; i < x.size(); ++i) {
        x[i] = float(random.real(-1.2, 1.2));
        if (random.chance(5)) x[i] = random.choose({0.0f, -0.0f, 1e-42f, 3.4e38f, -3.4e38f, 1.0f});
        const float gain = network.gain[i % network.gain.size()];
        if (random.chance(10) && gain != 0) x[i] = (float(random.between(-20, 20)) + 0.5f) / gain;
    }
    return x;
}

// A stream in pieces, some of them empty.
template <class Net>
std::vector<int64_t> stream_in_pieces(Random& random, fewbit_network* network, const Net& plan, const std::vector<float>& x,
                                      Codes& state, int threads) {
    const int64_t frames = int64_t(x.size()) / plan.inputs();
    std::vector<int64_t> all;
    for (int64_t first = 0; first < frames;) {
        const int64_t count = std::min(frames - first, int64_t(random.choose({0, 1, 1, 2, 3, 7, 16, 40})));
        std::vector<int64_t> y(size_t(count * plan.outputs()));
        const Codes before = state;
        Codes after(state.size(), 77);
        const bool in_place = random.chance(50);
        const int64_t written = fewbit_network_step(network, x.data() + first * plan.inputs(), count,
                                                    in_place ? state.data() : before.data(), in_place ? state.data() : after.data(),
                                                    y.data(), count, threads, random.choose({1, 2, 3, 16, 64}), 0);
        demand(written >= 0 && written <= count, text("a piece was refused: ", fewbit_error()));
        if (!in_place) demand(state == before, "the state before a step has changed"), state = after;
        all.insert(all.end(), y.begin(), y.begin() + written * plan.outputs());
        first += count;
    }
    return all;
}

template <class Net>
void check_network(Random& random, std::vector<Target>& targets, const Net& network) {
    const int64_t frames = random.choose({1, 2, 5, 17, 40, 70}), outputs = network.outputs();
    const std::vector<float> x = random_features(random, network, frames);
    const Codes narrow = network.run(x);
    const std::vector<int64_t> wanted(narrow.begin(), narrow.end());
    const int64_t count = int64_t(wanted.size()) / outputs;
    Codes last;
    for (Target& target : targets) {
        const auto what = [&] { return text(network.name(), ", ", frames, " frames"); };
        const std::shared_ptr<fewbit_network> opened = network.open(target.name);
        const auto size = size_t(fewbit_network_state_size(opened.get()));
        Codes start(size, 99), state(size, 99);
        demand(fewbit_network_start(opened.get(), start.data()) == 0, "a stream does not start");
        std::vector<int64_t> y(size_t((frames + 1) * outputs), 123456789);
        const int64_t block = random.choose({int64_t(1), int64_t(3), int64_t(16), int64_t(64), int64_t(1000)});
        const int64_t written = fewbit_network_step(opened.get(), x.data(), frames, start.data(), state.data(), y.data(), frames, 1, block, 0);
        demand(written == count, text(target.name, ": ", what(), ": ", written, " frames came out, not ", count));
        compare(target, y.data(), wanted.data(), count, outputs, what);
        for (int64_t i = 0; i < outputs; ++i)
            demand(y[size_t(frames * outputs + i)] == 123456789, text(target.name, ": written behind: ", what()));
        if (last.empty()) last = state;
        demand(last == state, text(target.name, ": ", what(), ": the last state is another"));

        Codes pieces = start;
        y = stream_in_pieces(random, opened.get(), network, x, pieces, int(random.between(1, 2)));
        demand(int64_t(y.size()) == count * outputs, text(target.name, ": ", what(), ": pieces give another number of frames"));
        compare(target, y.data(), wanted.data(), count, outputs, [&] { return "in pieces: " + what(); });
        demand(pieces == state, text(target.name, ": ", what(), ": the last state is another after pieces"));

        // A feature that is no number is told, and the state before stays good.
        std::vector<float> bad = x;
        bad[size_t(random.between(0, int64_t(x.size()) - 1))] = random.choose({NAN, -NAN, INFINITY, -INFINITY});
        const Codes before = start;
        demand(fewbit_network_step(opened.get(), bad.data(), frames, start.data(), pieces.data(), y.data(), frames, 1, block, 0) == -2,
               text(target.name, ": ", what(), ": NaN was not told"));
        demand(start == before, "the state before a refused step has changed");
        ++target.networks;
    }
}

// One network, several threads, all of which share the work of their products.
void check_at_once(Random& random, std::vector<Target>& targets) {
    const Network network = random_network(random, {Kind::kConv, Kind::kSru, Kind::kLstm, Kind::kDense});
    const std::vector<float> x = random_features(random, network, 50);
    const Codes narrow = network.run(x);
    for (Target& target : targets) {
        const std::shared_ptr<fewbit_network> opened = network.open(target.name);
        std::vector<std::vector<int64_t>> results(3);
        std::vector<std::thread> threads;
        for (size_t i = 0; i < results.size(); ++i)
            threads.emplace_back([&, i, seed = random.next()] {
                Random own(seed);
                Codes state(size_t(fewbit_network_state_size(opened.get())));
                fewbit_network_start(opened.get(), state.data());
                results[i] = stream_in_pieces(own, opened.get(), network, x, state, 2);
            });
        for (std::thread& thread : threads) thread.join();
        for (const auto& result : results)
            demand(result == std::vector<int64_t>(narrow.begin(), narrow.end()), text(target.name, ": at once: ", network.name()));
        ++target.networks;
    }
}

}  // namespace
