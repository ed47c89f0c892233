// Arguments of the C door that must be refused, with a message and nothing lost.
#pragma once

#include <memory>

#include "networks.h"

namespace {

// The call gives `wrong`, and the message has `words` in it.
template <class Result>
void refused(Result result, Result wrong, const char* words) {
    const std::string message = fewbit_error();
    demand(result == wrong, text("was not refused: ", words));
    demand(message.find(words) != std::string::npos, text("the message for '", words, "' is '", message, "'"));
    // Another message, so that the next call must give its own.
    demand(fewbit_set_tanh(nullptr, 3) == -1, "a short table was taken");
}

void check_refusals() {
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

    const std::shared_ptr<fewbit_matrix> small(matrix(3, 4, -1, 1, 0, nullptr), fewbit_matrix_free);
    const std::shared_ptr<fewbit_matrix> square(matrix(3, 3, -1, 1, 0, nullptr), fewbit_matrix_free);
    const std::shared_ptr<fewbit_matrix> gates(matrix(3, 1, -1, 1, 0, nullptr), fewbit_matrix_free);
    const std::shared_ptr<fewbit_matrix> back(matrix(4, 1, -1, 1, 0, nullptr), fewbit_matrix_free);
    demand(small && square && gates && back, fewbit_error());
    demand(fewbit_matrix_bytes(small.get()) > 0, "a matrix takes no memory");
    const int32_t x[4] = {1, 2, 3, 4};
    int32_t y[3];
    refused(fewbit_matrix_multiply(small.get(), "sparc", x, 1, 0, 4, 1, y), -1, "'sparc'");
    refused(fewbit_matrix_multiply(small.get(), nullptr, x, 1, 4, 0, 1, y), -1, "16 bits");
    refused(fewbit_matrix_multiply(small.get(), nullptr, x, 1, 0, 65535, 1, y), -1, "16 bits");
    refused(fewbit_matrix_multiply(small.get(), nullptr, x, 1, -32769, 0, 1, y), -1, "16 bits");
    demand(fewbit_matrix_multiply(small.get(), nullptr, x, -5, 0, 4, -3, y) <= 0, "frames fewer than none");
    float values[4] = {1, 2, NAN, 0}, results[3];
    const float ones[4] = {1, 1, 1, 1};
    refused(fewbit_matrix_apply(small.get(), nullptr, values, 1, ones, 1, results), -1, "NaN or infinite");
    values[2] = -INFINITY;
    refused(fewbit_matrix_apply(small.get(), nullptr, values, 1, ones, 1, results), -1, "NaN or infinite");
    refused(fewbit_matrix_apply(small.get(), "sparc", ones, 1, ones, 1, results), -1, "'sparc'");

    fewbit_network* const no_network = nullptr;
    refused(fewbit_network_new("sparc", ones, ones, 4, -1, 1), no_network, "'sparc'");
    refused(fewbit_network_new(nullptr, ones, ones, 0, -1, 1), no_network, "features");
    refused(fewbit_network_new(nullptr, ones, ones, -4, -1, 1), no_network, "features");
    refused(fewbit_network_new(nullptr, ones, ones, 4, 1, -1), no_network, "features");
    refused(fewbit_network_new(nullptr, ones, ones, 4, 0, 32768), no_network, "features");

    const std::shared_ptr<fewbit_network> held(fewbit_network_new(nullptr, ones, ones, 4, -1, 1), fewbit_network_free);
    fewbit_network* const network = held.get();
    const int32_t by[5] = {1, 1, 1, 1, 1};
    const fewbit_rescale good{by, 1, 0, -128, 127}, none_given{nullptr, 1, 0, -128, 127};
    const auto bad_rescales = [&](int64_t outputs, const std::function<int32_t(fewbit_rescale)>& call) {
        refused(call(none_given), -1, "multiplier");
        for (int64_t count : {int64_t(0), int64_t(-1), outputs + 1, std::numeric_limits<int64_t>::max()})
            refused(call({by, count, 0, -128, 127}), -1, "multiplier");
        for (int shift : {-1, 63, kLeast32, kMost32}) refused(call({by, 1, shift, -128, 127}), -1, "shift");
        refused(call({by, 1, 0, 1, 0}), -1, "range of a rescale is empty");
    };
    bad_rescales(4, [&](fewbit_rescale rescale) { return fewbit_network_requantize(network, rescale); });
    bad_rescales(3, [&](fewbit_rescale rescale) { return fewbit_network_conv(network, {small.get(), nullptr, rescale}, 1, 1); });
    const fewbit_linear linear{small.get(), nullptr, good}, other{square.get(), nullptr, good};
    const int64_t counts[] = {0, -1, (int64_t(1) << 62) + 1, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()};
    refused(fewbit_network_conv(network, {nullptr, nullptr, good}, 1, 1), -1, "no matrix");
    refused(fewbit_network_conv(network, other, 1, 1), -1, "columns");
    refused(fewbit_network_conv(network, linear, 2, 1), -1, "columns");
    refused(fewbit_network_conv(network, linear, 1, 2), -1, "stride");
    for (int64_t count : counts) {
        refused(fewbit_network_conv(network, linear, count, 1), -1, "kernel");
        if (count < 1) refused(fewbit_network_conv(network, linear, 1, count), -1, "stride");
    }

    // Networks of one feature, so that gates of one unit fit.
    const std::shared_ptr<fewbit_network> narrow_held(fewbit_network_new(nullptr, ones, ones, 1, -1, 1), fewbit_network_free);
    fewbit_network* const narrow = narrow_held.get();
    const fewbit_linear three{gates.get(), nullptr, good}, four{back.get(), nullptr, good}, wrong{square.get(), nullptr, good};
    const fewbit_linear wide_gates{gates.get(), nullptr, {by, 1, 0, kLeast32, kMost32}};
    refused(fewbit_network_sru(narrow, three, 2, 1, 1, 0, -1, 1), -1, "SRU");
    refused(fewbit_network_sru(narrow, three, 1, 1, 1, 63, -1, 1), -1, "SRU");
    refused(fewbit_network_sru(narrow, three, 1, 1, 1, -1, -1, 1), -1, "SRU");
    refused(fewbit_network_sru(narrow, three, 1, 1, 1, 0, 1, -1), -1, "SRU");
    refused(fewbit_network_sru(narrow, wrong, 1, 1, 1, 0, -1, 1), -1, "columns");
    refused(fewbit_network_qrnn(narrow, four, 1, 1, good), -1, "rows");
    refused(fewbit_network_qrnn(narrow, three, 1, 2, good), -1, "columns");
    refused(fewbit_network_lstm(narrow, three, four, 1, good), -1, "rows");
    refused(fewbit_network_lstm(narrow, four, three, 1, good), -1, "rows");
    refused(fewbit_network_lstm(narrow, four, {nullptr, nullptr, good}, 1, good), -1, "no matrix");
    refused(fewbit_network_lstm(narrow, four, four, 1, {by, 1, 0, -40000, 127}), -1, "16 bits");
    refused(fewbit_network_gru(narrow, four, three, 1, by, good), -1, "rows");
    refused(fewbit_network_gru(narrow, three, four, 1, by, good), -1, "rows");
    refused(fewbit_network_gru(narrow, three, three, 1, nullptr, good), -1, "hidden bias");
    for (int64_t count : counts) {
        refused(fewbit_network_sru(narrow, three, count, 1, 1, 0, -1, 1), -1, "SRU");
        refused(fewbit_network_qrnn(narrow, three, count, 1, good), -1, "QRNN");
        refused(fewbit_network_qrnn(narrow, three, 1, count, good), -1, "kernel");
        refused(fewbit_network_lstm(narrow, four, four, count, good), -1, "LSTM");
        refused(fewbit_network_gru(narrow, three, three, count, by, good), -1, "GRU");
    }
    // Gates of more than 16 bits, and biases beside which no sum has room.
    refused(fewbit_network_sru(narrow, wide_gates, 1, 1, 1, 0, -1, 1), -1, "16 bits");
    refused(fewbit_network_qrnn(narrow, wide_gates, 1, 1, good), -1, "16 bits");
    refused(fewbit_network_gru(narrow, three, wide_gates, 1, by, good), -1, "16 bits");
    const int32_t biases[4] = {0, kMost32, 0, 0};
    refused(fewbit_network_qrnn(narrow, {gates.get(), biases, good}, 1, 1, good), -1, "2**30");
    bad_rescales(1, [&](fewbit_rescale rescale) { return fewbit_network_qrnn(narrow, three, 1, 1, rescale); });
    bad_rescales(4, [&](fewbit_rescale rescale) { return fewbit_network_lstm(narrow, {back.get(), nullptr, rescale}, four, 1, good); });
    bad_rescales(3, [&](fewbit_rescale rescale) { return fewbit_network_gru(narrow, three, {gates.get(), nullptr, rescale}, 1, by, good); });

    // Parts of a hierarchy: of one column, so that each of words and spelling reads two.
    const auto part = [&](int64_t inputs, int low) {
        return std::shared_ptr<fewbit_network>(fewbit_network_part(narrow, inputs, low, 1), fewbit_network_free);
    };
    const int32_t column[1] = {0}, beyond[1] = {1}, before[1] = {-1};
    const auto letters = part(1, -1), words = part(2, -1), spelling = part(3, -1), blind = part(2, 0), empty = part(2, -1);
    const auto built = [&](const int32_t* ends, int64_t count, fewbit_network* second, fewbit_network* third) {
        return fewbit_network_hierarchy(narrow, ends, count, 0, letters.get(), second, third);
    };
    refused(fewbit_network_part(narrow, 0, -1, 1), static_cast<fewbit_network*>(nullptr), "inputs");
    refused(fewbit_network_part(narrow, 1, 1, -1), static_cast<fewbit_network*>(nullptr), "range");
    for (fewbit_network* each : {letters.get(), words.get(), spelling.get(), blind.get()})
        demand(fewbit_network_requantize(each, {by, 1, 0, -1, 1}) == 0, fewbit_error());
    refused(built(column, 1, letters.get(), spelling.get()), -1, "fit together");
    refused(built(beyond, 1, words.get(), spelling.get()), -1, "column");
    refused(built(before, 1, words.get(), spelling.get()), -1, "column");
    refused(built(nullptr, 1, words.get(), spelling.get()), -1, "end words");
    refused(built(column, 0, words.get(), spelling.get()), -1, "end words");
    refused(built(column, 1, empty.get(), spelling.get()), -1, "no operation");
    refused(built(column, 1, blind.get(), spelling.get()), -1, "not told of");

    // Nothing that was refused is part of the network.
    demand(fewbit_network_state_size(network) == 0 && fewbit_network_bytes(network) == 0, "refused operations were kept");
    const float features[8] = {-3, -1, 0, 3, 0, 0, 0, NAN};
    int64_t out[8];
    int32_t state[1] = {};
    const auto step = [&](int64_t frames, int threads, int64_t block) {
        return fewbit_network_step(network, features, frames, state, state, out, threads, block);
    };
    refused(step(-1, 1, 1), int64_t(-1), "counts");
    refused(step(1, 0, 1), int64_t(-1), "counts");
    refused(step(1, 1, 0), int64_t(-1), "counts");
    demand(step(2, 1, 1) == -2, "NaN was not told");
    demand(step(0, 1, 1) == 0, "no frames are no fault");
    demand(step(1, 1, std::numeric_limits<int64_t>::max()) == 1 && out[0] == -1 && out[1] == 0 && out[2] == 1 && out[3] == 1,
           "features are wrong");

    // Nothing comes after more than 16 bits but a rescale.
    const fewbit_rescale scores{by, 1, 0, kLeast32, kMost32};
    demand(fewbit_network_conv(network, {small.get(), nullptr, scores}, 1, 1) == 0, fewbit_error());
    refused(fewbit_network_conv(network, other, 1, 1), -1, "16 bits");
    demand(fewbit_network_requantize(network, good) == 0 && fewbit_network_conv(network, other, 1, 1) == 0, fewbit_error());
    refused(fewbit_set_tanh(nullptr, 1025), -1, "table");
    refused(fewbit_set_tanh(table().data(), 1024), -1, "1025");
}

}  // namespace
