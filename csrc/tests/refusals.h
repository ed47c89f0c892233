// Arguments of the C interface that must be refused, with a message and nothing lost.
#pragma once

#include "fields.h"
#include "integers.h"

namespace {

// The call gives `wrong`, and the message has `words` in it.
template <class Result>
void refused(Result result, Result wrong, const char* words) {
    const std::string message = fewbit_error();
    demand(result == wrong, text("was not refused: ", words));
    demand(message.find(words) != std::string::npos, text("the message for '", words, "' is '", message, "'"));
    // Another message, so that the next call must give its own.
    demand(fewbit_set_table("tanh", nullptr, 3) == -1, "a table without points was taken");
}

void check_matrix_refusals() {
    fewbit_matrix* const none = nullptr;
    const int16_t codes[12] = {1, -1, 0, 1, 1, 0, -1, 1, 0, 0, 1, 1};
    const int32_t scales[12] = {1, 2, 3, 16384, 1, 1, 1, 1, 1, 1, 1, 1}, zeros[12] = {}, huge[12] = {16385, 1, 1, 1};
    const auto matrix = [&](int64_t rows, int64_t columns, int low, int high, int64_t group, const int32_t* scale) {
        return fewbit_matrix_new(codes, rows, columns, low, high, 0, group, scale);
    };
    refused(matrix(0, 4, -1, 1, 0, nullptr), none, "rows and columns");
    refused(matrix(3, 0, -1, 1, 0, nullptr), none, "rows and columns");
    refused(matrix(-3, 4, -1, 1, 0, nullptr), none, "rows and columns");
    refused(matrix(3, int64_t(1) << 62, -1, 1, 0, nullptr), none, "rows and columns");
    refused(matrix(3, 4, 1, 1, 0, nullptr), none, "range of the codes");
    refused(matrix(3, 4, -2, -1, 0, nullptr), none, "range of the codes");
    refused(matrix(3, 4, -128, 128, 0, nullptr), none, "range of the codes");
    refused(matrix(3, 4, kLeast32, kMost32, 0, nullptr), none, "range of the codes");
    refused(matrix(3, 4, 0, 1, 0, nullptr), none, "outside of its range");
    refused(matrix(3, 4, -1, 0, 0, nullptr), none, "outside of its range");
    refused(matrix(3, 4, -1, 1, 2, nullptr), none, "group");
    refused(matrix(3, 4, -1, 1, 0, scales), none, "group");
    refused(matrix(3, 4, -1, 1, -2, scales), none, "group");
    refused(matrix(3, 4, -1, 1, 2, zeros), none, "scale");
    refused(matrix(3, 4, -1, 1, 2, huge), none, "scale");
    refused(fewbit_matrix_new(nullptr, 3, 4, -1, 1, 0, 0, nullptr), none, "codes");

    refused(fewbit_matrix_new(codes, 3, 4, -1, 1, 2, 0, nullptr), none, "at most two");
    refused(fewbit_matrix_new(codes, 1, 3, -1, 1, 2, 3, scales), none, "no scales of groups");
    refused(fewbit_matrix_new(codes, 3, 4, -1, 1, 3, 0, nullptr), none, "0, 1 and 2");
    refused(fewbit_matrix_new(codes, 3, 4, -1, 1, -1, 0, nullptr), none, "0, 1 and 2");
    const int16_t large[2] = {2, 0};
    refused(fewbit_matrix_new(large, 1, 2, -1, 2, 2, 0, nullptr), none, "codes -1, 0 and +1");
    const std::shared_ptr<fewbit_matrix> small(matrix(3, 4, -1, 1, 0, nullptr), fewbit_matrix_free);
    demand(small != nullptr, fewbit_error());
    demand(fewbit_matrix_bytes(small.get()) > 0, "a matrix takes no memory");
    const int32_t x[4] = {1, 2, 3, 4};
    int32_t y[3];
    refused(fewbit_matrix_multiply(small.get(), "sparc", x, 1, 0, 4, 1, y), -1, "'sparc'");
    refused(fewbit_matrix_multiply(small.get(), nullptr, x, 1, 4, 0, 1, y), -1, "16 bits");
    refused(fewbit_matrix_multiply(small.get(), nullptr, x, 1, 0, 65535, 1, y), -1, "16 bits");
    refused(fewbit_matrix_multiply(small.get(), nullptr, x, 1, -32769, 0, 1, y), -1, "16 bits");
    demand(fewbit_matrix_multiply(small.get(), nullptr, x, -5, 0, 4, -3, y) <= 0, "frames fewer than none");
    refused(fewbit_matrix_part(small.get(), "sparc", 0, 1, 1, 1), -1, "'sparc'");
    refused(fewbit_matrix_part(small.get(), nullptr, -1, 1, 1, 1), -1, "parts 0, 1 and 2");
    refused(fewbit_matrix_part(small.get(), nullptr, 3, 1, 1, 1), -1, "parts 0, 1 and 2");
    for (int32_t part = 0; part < 3; ++part)
        demand(fewbit_matrix_part(small.get(), nullptr, part, 5, 2, 2) == 0, fewbit_error());
    refused(fewbit_read("sparc", x, sizeof(x), 1), -1, "'sparc'");
    demand(fewbit_read(nullptr, x, sizeof(x), 1) == 0, fewbit_error());
    float values[4] = {1, 2, NAN, 0}, results[3];
    const float ones[4] = {1, 1, 1, 1};
    refused(fewbit_matrix_apply(small.get(), nullptr, values, 1, ones, 1, results), -1, "NaN or infinite");
    values[2] = -INFINITY;
    refused(fewbit_matrix_apply(small.get(), nullptr, values, 1, ones, 1, results), -1, "NaN or infinite");
    refused(fewbit_matrix_apply(small.get(), "sparc", ones, 1, ones, 1, results), -1, "'sparc'");
}

std::shared_ptr<fewbit_matrix> ones(int64_t rows, int64_t columns) {
    const std::vector<int16_t> codes(size_t(rows * columns), 1);
    const std::shared_ptr<fewbit_matrix> matrix(fewbit_matrix_new(codes.data(), rows, columns, -1, 1, 0, 0, nullptr), fewbit_matrix_free);
    demand(matrix != nullptr, fewbit_error());
    return matrix;
}

// A network of 8 features with three values: 4 numbers, 4 more, and 2 symbols of 3 numbers each.
constexpr int64_t kFeatures = 8;
Held new_base() {
    static const std::shared_ptr<fewbit_matrix> table = ones(5, 3);
    const Held network = new_network(nullptr, kFeatures);
    demand(network != nullptr, fewbit_error());
    const std::vector<float> one{1, 1, 1, 1}, none{0, 0, 0, 0};
    for (int64_t first : {0, 4}) {
        Fields source;
        source.floats(one).floats(none).numbers({-8, 7, 1, first});
        demand(source.add(network.get(), "quantize", {}) == 0, fewbit_error());
    }
    Fields lookup;
    lookup.matrix(table).rescale({{1}, 0, {-8, 7}}).numbers({2, 6});
    demand(lookup.add(network.get(), "lookup", {}) == 0, fewbit_error());
    return network;
}

// Fields that are taken, with the inputs of the operation.
struct Good {
    const char* kind;
    std::vector<int64_t> inputs;
    Fields fields;
};

// One of every kind. The matrices live as long as the process.
std::vector<Good> good_ones() {
    static const std::shared_ptr<fewbit_matrix> square = ones(4, 4), wide = ones(4, 8), gates = ones(8, 4), three = ones(6, 4),
                                                four = ones(8, 2), back = ones(6, 2), thin = ones(4, 2);
    const Rescale scale{{1}, 0, {-128, 127}}, each{{1, 2, 3, 4}, 1, {-8, 7}};
    const std::vector<float> floats{1, 2};
    std::vector<Good> all;
    const auto add = [&](const char* kind, std::vector<int64_t> inputs, const Fields& fields) { all.push_back({kind, inputs, fields}); };
    add("quantize", {}, Fields().floats(floats).floats(floats).numbers({-3, 3, 2, 1}));
    add("lookup", {}, Fields().matrix(square).rescale(scale).numbers({1, 0}));
    add("requantize", {0}, Fields().number(4).rescale(each));
    add("dense", {0}, Fields().matrix(square).vector({0, 1, 2, 3}).rescale(each).numbers({1, 2}));
    add("conv", {0}, Fields().numbers({2, 1}).matrix(wide).vector({0, 1, 2, 3}).rescale(each).numbers({1, -1, 0, 1}).grid().number(2));
    add("conv", {0}, Fields().numbers({2, 2}).matrix(thin).vector({0, 1, 2, 3}).rescale(each).numbers({2, 1, 1, 4}).grid().number(0));
    add("conv", {0}, Fields().numbers({1, 1}).matrix(square).vector({0, 1, 2, 3}).rescale(each).numbers({1, 0, 0, 1}).grid(2, 2, 2, 2, 1, 1, 0).number(0));
    add("sru", {0}, Fields().number(2).matrix(gates).vector(Codes(8)).rescale(scale).numbers({1000, 1000, 20, -8, 7}));
    add("qrnn", {0}, Fields().numbers({2, 1}).matrix(three).vector(Codes(6)).rescale(scale).rescale(scale));
    add("lstm", {0}, Fields().number(2).matrix(gates).vector(Codes(8)).rescale(scale).matrix(four).rescale(scale).rescale(scale).numbers({1, 3}));
    add("gru", {0}, Fields().number(2).matrix(three).vector(Codes(6)).rescale(scale).matrix(back).vector({1, 2}).rescale(scale).rescale(scale).numbers({1, 3}));
    add("sum", {0, 1}, Fields().vector({1, 2}).number(3).vector({4, 5}).numbers({-100, 100}));
    add("mul", {0, 1}, Fields().rescale(scale));
    add("map", {0}, Fields().vector({-5, 3, 9, 2, 8}).numbers({-8, 2, 3, -9, 9}));
    add("take", {0, 1, 2}, Fields().vector({10, 0, -1, 3, 9}).numbers({3, 2}));
    add("pool", {0}, Fields().numbers({1, 1, 2, 1}).rescale(scale).numbers({1, 1}).grid(2, 2, 2, 2, 1, 1, 1));
    add("reverse", {0}, Fields());
    add("norm", {0}, Fields().numbers({2, 1, 5, 3}).vector({3, 4}).number(5).vector({6}).numbers({-99, 99}));
    add("softmax", {0}, Fields().numbers({2, 300, 4}).rescale(scale));
    add("log_softmax", {0}, Fields().numbers({2, 300, 4}).rescale(scale));
    add("attend", {0, 1, 0}, Fields().numbers({2, 2, 2, 0, 3, 50, 7}).rescale(scale).vector({1}));
    add("attend", {0, 1, 1}, Fields().numbers({1, 1, 2, 2, 0, 50, 7}).rescale(scale).vector({1, 0, 1, 1}));
    add("positions", {1}, Fields().number(2).vector({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
    add("phases", {1}, Fields().vector({1 << 30, 5}).vector({7, kLeast32}).rescale(scale));
    add("mean", {0}, Fields().rescale(scale));
    add("first", {0}, Fields());
    add("magnitude", {0, 1}, Fields().number(77).rescale(scale));
    return all;
}

// Runs what was taken, from a state of its own and from strange ones.
void run_some(const Held& network) {
    const int64_t size = fewbit_network_state_size(network.get()), most = 64;
    if (size > (1 << 18)) return;
    Codes state(static_cast<size_t>(size)), strange;
    fewbit_network_start(network.get(), state.data());
    const std::vector<float> x(size_t(3 * kFeatures), 2.0f);
    const int64_t outputs = 1 << 16;
    static std::vector<int64_t> y(size_t(most * outputs));
    for (bool last : {false, false, true}) {
        const int64_t written =
            fewbit_network_step(network.get(), x.data(), 3, state.data(), state.data(), y.data(), most, 1, 2, last);
        demand(written >= 0 || written == -3 || written == -4, fewbit_error());
        if (written < 0) return;
    }
    strange = state;
    for (size_t i = 4; i < strange.size(); ++i) strange[i] = i % 2 ? kLeast32 : kMost32;
    fewbit_network_step(network.get(), x.data(), 3, strange.data(), strange.data(), y.data(), most, 1, 2, 0);
}

// Whether fields were taken; nothing of those that were not is part of the network.
bool taken(const Good& fields) {
    const Held network = new_base();
    const int64_t size = fewbit_network_state_size(network.get()), bytes = fewbit_network_bytes(network.get());
    if (fields.fields.add(network.get(), fields.kind, fields.inputs) == 0) {
        run_some(network);
        return true;
    }
    demand(std::string(fewbit_error()).size() > 10, text(fields.kind, ": no message"));
    demand(fewbit_network_state_size(network.get()) == size && fewbit_network_bytes(network.get()) == bytes,
           text(fields.kind, ": a refused operation was kept"));
    return false;
}

void check_fields(const Good& good) {
    const auto what = [&](const char* change) { return text(good.kind, ": ", change, " was taken"); };
    demand(taken(good), text(good.kind, " was refused: ", fewbit_error()));
    const int64_t strange[] = {std::numeric_limits<int64_t>::min(), kLeast32, -70000, -2, -1, 0, 1, 2, 3, 64, 70000, 1 << 24,
                               kMost32, int64_t(1) << 40, std::numeric_limits<int64_t>::max()};
    for (size_t i = 0; i < good.fields.numbers_.size(); ++i)
        for (int64_t number : strange) {
            Good bad = good;
            bad.fields.numbers_[i] = number;
            const bool far = number < kLeast32 || number > kMost32;
            demand(!taken(bad) || !far, what("a number beyond 32 bits"));
        }
    for (size_t i = 0; i < good.fields.vectors_.size(); ++i) {
        for (int64_t number : strange)
            for (size_t k = 0; k < good.fields.vectors_[i].size(); ++k) {
                Good bad = good;
                bad.fields.vectors_[i][k] = int32_t(number);
                taken(bad);
            }
        Good bad = good;
        bad.fields.vectors_[i].clear();
        demand(!taken(bad), what("an empty vector"));
        bad = good;
        bad.fields.vectors_[i].resize(77, 1);
        taken(bad);
        bad = good;
        bad.fields.vectors_.erase(bad.fields.vectors_.begin() + int64_t(i));
        demand(!taken(bad), what("a vector less"));
    }
    Good bad = good;
    bad.fields.number(1);
    demand(!taken(bad), what("a number more"));
    bad = good;
    bad.fields.vector({1});
    demand(!taken(bad), what("a vector more"));
    if (!good.fields.numbers_.empty()) {
        bad = good;
        bad.fields.numbers_.pop_back();
        demand(!taken(bad), what("a number less"));
    }
    for (size_t i = 0; i < good.fields.matrices_.size(); ++i) {
        bad = good;
        bad.fields.matrices_[i] = nullptr;
        demand(!taken(bad), what("no matrix"));
        static const std::shared_ptr<fewbit_matrix> others[] = {ones(1, 1), ones(4, 3), ones(3, 4), ones(200, 100)};
        for (const auto& other : others) {
            bad.fields.matrices_[i] = other.get();
            taken(bad);
        }
        bad.fields.matrices_.erase(bad.fields.matrices_.begin() + int64_t(i));
        demand(!taken(bad), what("a matrix less"));
    }
    for (const std::vector<int64_t>& inputs : std::vector<std::vector<int64_t>>{{}, {-1}, {3}, {kMost32}, {0, 1, 2, 0, 1}, {0, 3, 0}, {0, 0}, {2}}) {
        bad = good;
        bad.inputs = inputs;
        const bool outside = std::any_of(inputs.begin(), inputs.end(), [](int64_t place) { return place < 0 || place > 2; });
        demand(!taken(bad) || !outside, what("an input that is none"));
    }
}

// A hierarchy of a frame of 4 numbers, whose parts give 1 number each.
void check_hierarchy_fields() {
    static const std::shared_ptr<fewbit_matrix> letter = ones(1, 4), word = ones(1, 5), spell = ones(1, 2);
    const Held network = new_base();
    const auto part = [&](int64_t inputs, int32_t low, const std::shared_ptr<fewbit_matrix>& weight) {
        const Held made(fewbit_network_part(network.get(), inputs, low, 7), fewbit_network_free);
        Fields dense;
        dense.matrix(weight).vector({0}).rescale({{1}, 0, {-8, 7}}).numbers({1, 0});
        if (weight) demand(dense.add(made.get(), "dense", {-1}) == 0, fewbit_error());
        return made;
    };
    const Held letters = part(4, -8, letter), words = part(5, -8, word), spelling = part(2, -8, spell);
    const Held blind = part(5, 0, word), empty = part(5, -8, nullptr);
    const auto built = [&](const Codes& ends, const Held& second, const Held& third, int64_t direct = 0) {
        Fields fields;
        fields.vector(ends).number(direct).part(letters.get()).part(second.get()).part(third.get());
        return fields.add(network.get(), "hierarchy", {0});
    };
    fewbit_network* const none = nullptr;
    refused(fewbit_network_part(network.get(), 0, -1, 1), none, "inputs");
    refused(fewbit_network_part(network.get(), 1, 1, -1), none, "range");
    refused(fewbit_network_part(nullptr, 1, -1, 1), none, "network");
    refused(built({0}, letters, spelling), -1, "one and the same");
    refused(built({0}, spelling, words), -1, "fit together");
    refused(built({0}, words, spelling, 1), -1, "fit together");
    refused(built({4}, words, spelling), -1, "column");
    refused(built({-1}, words, spelling), -1, "column");
    refused(built({0}, empty, spelling), -1, "no operation");
    refused(built({0}, blind, spelling), -1, "beyond its range");
    refused(built({0}, network, spelling), -1, "fewbit_network_part");
    refused(built({0}, Held(), spelling), -1, "no network");
    Fields few, source, late;
    few.vector({0}).number(0).part(letters.get()).part(words.get());
    refused(few.add(network.get(), "hierarchy", {0}), -1, "missing");
    // Parts have no sources, no windows that skip frames, no other order than one after the other, and do not run alone.
    source.floats({1}).floats({0}).numbers({-8, 7, 1, 0});
    refused(source.add(words.get(), "quantize", {}), -1, "features");
    late.numbers({0, 1, 2, 1}).rescale({{1}, 0, {-8, 7}}).numbers({0, 1}).grid();
    refused(late.add(words.get(), "pool", {0}), -1, "part");
    refused(Fields().add(words.get(), "first", {-1}), -1, "one before it");
    int32_t state[16] = {};
    int64_t y[16];
    const float x[8] = {};
    refused(fewbit_network_step(letters.get(), x, 1, state, state, y, 1, 1, 1, 0), int64_t(-1), "part");
    demand(built({0}, words, spelling) == 0, fewbit_error());
    run_some(network);
    refused(built({0}, words, spelling), -1, "no operation");
}

void check_steps() {
    refused(fewbit_network_new("sparc", 4), static_cast<fewbit_network*>(nullptr), "'sparc'");
    for (int64_t features : {int64_t(0), int64_t(-4), std::numeric_limits<int64_t>::max()})
        refused(fewbit_network_new(nullptr, features), static_cast<fewbit_network*>(nullptr), "features");
    const Held network = new_network(nullptr, 4);
    const float features[8] = {-3, -1, 0, 3, 0, 0, 0, NAN};
    int64_t out[8];
    int32_t state[4] = {};
    const auto step = [&](int64_t frames, int threads, int64_t block, int64_t most = 2) {
        return fewbit_network_step(network.get(), features, frames, state, state, out, most, threads, block, 0);
    };
    refused(step(0, 1, 1), int64_t(-1), "operations");
    Fields source;
    source.floats({1, 1, 1, 1}).floats({0, 0, 0, 0}).numbers({-1, 1, 1, 0});
    refused(source.add(network.get(), "quantise", {}), -1, "'quantise'");
    refused(source.add(network.get(), nullptr, {}), -1, "kind");
    refused(source.add(nullptr, "quantize", {}), -1, "network");
    refused(fewbit_network_add(network.get(), "quantize", nullptr, 3, {}), -1, "values");
    refused(fewbit_network_add(network.get(), "quantize", nullptr, 0, {}), -1, "missing");
    demand(source.add(network.get(), "quantize", {}) == 0, fewbit_error());
    demand(step(0, 1, 1) == -5, "the state of no network was taken");
    fewbit_network_start(network.get(), state);
    refused(step(-1, 1, 1), int64_t(-1), "counts");
    refused(step(1, 0, 1), int64_t(-1), "counts");
    refused(step(1, 1, 0), int64_t(-1), "counts");
    refused(step(1, 1, 1, -1), int64_t(-1), "counts");
    refused(step(1, 1, 1, 0), int64_t(-1), "room");
    demand(step(2, 1, 1) == -2, "NaN was not told");
    demand(step(0, 1, 1) == 0, "no frames are no fault");
    demand(step(1, 1, std::numeric_limits<int64_t>::max()) == 1 && out[0] == -1 && out[1] == -1 && out[2] == 0 && out[3] == 1,
           "features are wrong");

    // Nothing reads more than 16 bits but what only moves numbers.
    Fields scores, choice;
    const std::shared_ptr<fewbit_matrix> weight = ones(4, 4);
    scores.matrix(weight).vector(Codes(4)).rescale({{1}, 0, {kLeast32, kMost32}}).numbers({1, 0});
    demand(scores.add(network.get(), "dense", {0}) == 0, fewbit_error());
    refused(scores.add(network.get(), "dense", {1}), -1, "16 bits");
    choice.vector({-1, 2}).numbers({1, 0});
    refused(choice.add(network.get(), "take", {1}), -1, "32 bits");
    choice.vectors_[0] = {1, 2};
    demand(choice.add(network.get(), "take", {1, 0}) == 0, fewbit_error());
}

void check_refusals() {
    check_matrix_refusals();
    check_steps();
    for (const Good& good : good_ones()) check_fields(good);
    check_hierarchy_fields();
    refused(fewbit_set_table("tanh", nullptr, 1025), -1, "points");
    refused(fewbit_set_table(nullptr, table().data(), 1025), -1, "name");
    refused(fewbit_set_table("tan", table().data(), 1025), -1, "'tan'");
    refused(fewbit_set_table("tanh", table().data(), 1024), -1, "1025");
    refused(fewbit_set_table("exp", table().data(), 1025), -1, "1024");
    Codes far = table();
    far[7] = 40000;
    refused(fewbit_set_table("tanh", far.data(), 1025), -1, "16 bits");
}

}  // namespace
