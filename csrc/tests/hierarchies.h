// Random hierarchies, two clocks over chains of layers, as plain loops and as streams on every target.
#pragma once

#include "networks.h"

namespace {

using Layers = std::vector<Layer>;

Range around(Range a, Range b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

// The last frame of a stream that has just begun with these frames.
Codes last_of(const Layers& layers, Codes x) {
    for (const Layer& layer : layers) x = layer.run(x);
    return Codes(x.end() - layers.back().outputs, x.end());
}

void extend(Codes& stream, const Codes& more) { stream.insert(stream.end(), more.begin(), more.end()); }

// A network whose last operation is a hierarchy.
struct Hierarchical {
    Network below;
    std::vector<float> gain;  // of its features
    std::vector<int32_t> boundaries;
    bool direct = false;
    Layers letters, words, spelling;

    int64_t inputs() const { return below.inputs(); }
    int64_t outputs() const { return spelling.back().outputs; }
    std::string name() const {
        std::string name = below.name() + (direct ? "; direct hierarchy of" : "; hierarchy of");
        for (const Layers* part : {&letters, &words, &spelling}) {
            name += " (";
            for (const Layer& layer : *part) name += layer.name() + "; ";
            name += ")";
        }
        return name;
    }
    std::shared_ptr<fewbit_network> open(const std::string& target) const {
        const std::shared_ptr<fewbit_network> network = below.open(target);
        const Range frame = below.range(), letter = letters.back().range(), word = words.back().range();
        const auto part = [&](const Layers& layers, Range range) {
            const std::shared_ptr<fewbit_network> made(
                fewbit_network_part(network.get(), layers.front().inputs, range.low, range.high), fewbit_network_free);
            demand(made != nullptr, text(name(), ": a part was refused: ", fewbit_error()));
            for (size_t i = 0; i < layers.size(); ++i)
                demand(layers[i].append(made.get(), int64_t(i) - 1) == 0, text(name(), ": ", layers[i].name(), " was refused: ", fewbit_error()));
            return made;
        };
        const auto one = part(letters, frame), two = part(words, around(letter, frame));
        const auto three = part(spelling, around(direct ? frame : letter, word));
        Fields fields;
        fields.vector(boundaries).number(direct).part(one.get()).part(two.get()).part(three.get());
        demand(fields.add(network.get(), "hierarchy", {int64_t(below.layers.size())}) == 0,
               text(name(), " was refused: ", fewbit_error()));
        return network;
    }
    // Every result is that of a stream run anew from the last time that its part started.
    Codes run(const std::vector<float>& features) const {
        const Codes signal = below.run(features);
        const int64_t width = below.outputs();
        Codes word, ends, spelt_word, all;
        Codes spelt(size_t(letters.back().outputs)), context(size_t(words.back().outputs));
        for (size_t first = 0; first < signal.size(); first += size_t(width)) {
            const Codes x(signal.begin() + int64_t(first), signal.begin() + int64_t(first) + width);
            bool over = false;
            for (int32_t column : boundaries) over = over || x[size_t(column)] > 0;
            if (over) {
                extend(ends, spelt);
                extend(ends, x);
                context = last_of(words, ends);
                word.clear();
                spelt_word.clear();
            }
            extend(word, x);
            spelt = last_of(letters, word);
            extend(spelt_word, direct ? x : spelt);
            extend(spelt_word, context);
            extend(all, last_of(spelling, spelt_word));
        }
        return all;
    }
};

Layers random_part(Random& random, int64_t inputs, Range range) {
    Layers layers;
    for (int64_t count = random.between(1, 2); count > 0; --count) {
        Layer layer;
        do layer = random_layer(random, random.choose(kKinds), inputs, range, false);
        while (layer.stride > 1);
        layers.push_back(layer);
        inputs = layer.outputs;
        range = layer.range();
    }
    return layers;
}

Hierarchical random_hierarchy(Random& random) {
    Hierarchical network;
    std::vector<Kind> kinds;
    if (random.chance(50)) kinds.push_back(random.choose(kKinds));
    network.below = random_network(random, kinds, false);
    network.gain = network.below.gain;
    const int64_t inputs = network.below.outputs();
    for (int64_t count = random.between(1, 3); count > 0; --count) network.boundaries.push_back(int32_t(random.between(0, inputs - 1)));
    network.direct = random.chance(30);
    const Range frame = network.below.range();
    network.letters = random_part(random, inputs, frame);
    const int64_t spelt = network.letters.back().outputs;
    const Range letter = network.letters.back().range();
    network.words = random_part(random, spelt + inputs, around(letter, frame));
    network.spelling = random_part(random, (network.direct ? inputs : spelt) + network.words.back().outputs,
                                   around(network.direct ? frame : letter, network.words.back().range()));
    return network;
}

}  // namespace
