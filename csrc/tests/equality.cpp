// Every target that runs here against plain loops, bit for bit: products, networks as streams, and arguments that must
// be refused. The loops follow docs/internals/numerics.md and share no code with the library.
//
//   fewbit_equality [seed [seconds]]
//
// A first round goes through every format, range and kind of operation; random cases follow until the time is over.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "../c_api.h"

namespace {

using Codes = std::vector<int32_t>;
constexpr int32_t kMost32 = std::numeric_limits<int32_t>::max(), kLeast32 = std::numeric_limits<int32_t>::min();

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "DIFFERENT: %s\n", what.c_str());
    std::exit(1);
}

void demand(bool right, const std::string& what) {
    if (!right) fail(what);
}

template <class... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {  // splitmix64
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    int64_t between(int64_t low, int64_t high) { return low + int64_t(next() % uint64_t(high - low + 1)); }
    bool chance(int percent) { return between(0, 99) < percent; }
    double real(double low, double high) { return low + (high - low) * double(next() >> 11) * 0x1p-53; }
    template <class Number>
    Number choose(std::initializer_list<Number> list) { return *(list.begin() + between(0, int64_t(list.size()) - 1)); }
    template <class List>
    auto choose(const List& list) { return *(std::begin(list) + between(0, int64_t(std::size(list)) - 1)); }

private:
    uint64_t state_;
};

struct Range {
    int32_t low, high;
    int64_t magnitude() const { return std::max(-int64_t(low), int64_t(high)); }
};
std::string text(const Range& range) { return text(range.low, "..", range.high); }

// Numbers of a range: any, one of its ends, both in turn, or few that are not zero.
template <class Number>
void fill(Random& random, std::vector<Number>& numbers, Range range) {
    const int64_t kind = random.between(0, 9);
    for (size_t i = 0; i < numbers.size(); ++i) {
        int64_t number = random.between(range.low, range.high);
        if (kind == 0) number = range.low;
        if (kind == 1) number = range.high;
        if (kind == 2) number = i % 2 ? range.low : range.high;
        if (kind == 3 && range.low <= 0 && range.high >= 0 && !random.chance(5)) number = 0;
        if (kind == 4) number = random.chance(50) ? range.low : range.high;
        numbers[i] = Number(number);
    }
}

// ---- What the integers are ------------------------------------------------------------------------------------------

int64_t saturate(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }
int64_t saturate16(int64_t x) { return saturate(x, -32768, 32767); }
int64_t shift_round(int64_t x, int shift) { return shift > 0 ? (x + (int64_t(1) << (shift - 1))) >> shift : x; }

const Codes& table() {
    static const Codes entries = [] {
        Codes list(1025);
        for (int i = 0; i < 1025; ++i) list[i] = int32_t(std::min(std::round(std::tanh(i / 256.0) * 32768), 32767.0));
        return list;
    }();
    return entries;
}
int64_t looked_up(int64_t x, int shift) {
    const int64_t value = table()[size_t(std::min<int64_t>(shift_round(std::abs(x), shift), 1024))];
    return x < 0 ? -value : value;
}
int64_t tanh15(int64_t x) { return looked_up(x, 4); }
int64_t sigmoid15(int64_t x) { return (32768 + looked_up(x, 5)) >> 1; }
int64_t mix(int64_t gate, int64_t kept, int64_t fresh) {
    return shift_round(gate * kept + (32768 - gate) * fresh, 15);
}

struct Rescale {
    Codes multiplier;
    int shift = 0;
    Range range{};
    int64_t operator()(int64_t x, int64_t i) const {
        const int64_t by = multiplier[multiplier.size() == 1 ? 0 : size_t(i)];
        return saturate(shift_round(x * by, shift), range.low, range.high);
    }
    fewbit_rescale view() const {
        return {multiplier.data(), int64_t(multiplier.size()), shift, range.low, range.high};
    }
};

// ---- Matrices -------------------------------------------------------------------------------------------------------

struct Format {
    const char* name;
    Range range;
};
const Format kFormats[] = {
    {"ternary", {-1, 1}}, {"binary", {-1, 1}},  {"int2", {-2, 1}},    {"int3", {-4, 3}},      {"int4", {-8, 7}},
    {"int5", {-16, 15}},  {"int6", {-32, 31}},  {"int7", {-64, 63}},  {"int8", {-128, 127}},  {"uint1", {0, 1}},
    {"uint3", {0, 7}},    {"uint4", {0, 15}},   {"uint8", {0, 255}},  {"int8s", {-127, 127}}, {"negative", {-255, 0}},
    {"lopsided", {-3, 9}}, {"nothing", {0, 0}},
};

struct Matrix {
    Format format{};
    int64_t rows = 0, columns = 0, group = 0;
    bool wide = false;
    std::vector<int16_t> codes;
    Codes scale;
    std::shared_ptr<fewbit_matrix> handle;

    int64_t groups() const { return group > 0 ? (columns + group - 1) / group : 1; }
    std::string name() const {
        return text(format.name, wide ? " wide " : " ", rows, " x ", columns, group > 0 ? text(" groups of ", group) : "");
    }
    void make() {
        handle.reset(fewbit_matrix_new(codes.data(), rows, columns, format.range.low, format.range.high, wide, group,
                                       scale.empty() ? nullptr : scale.data()),
                     fewbit_matrix_free);
        demand(handle != nullptr, text(name(), " was refused: ", fewbit_error()));
    }
    // Row r of W x.
    int64_t product(int64_t r, const int32_t* x) const {
        int64_t sum = 0;
        const int16_t* row = codes.data() + r * columns;
        const int64_t size = group > 0 ? group : columns;
        for (int64_t g = 0; g < groups(); ++g) {
            int64_t part = 0;
            for (int64_t i = g * size; i < std::min(columns, (g + 1) * size); ++i) part += int64_t(row[i]) * x[i];
            sum += scale.empty() ? part : part * scale[size_t(r * groups() + g)];
        }
        return scale.empty() ? sum : shift_round(sum, 14);
    }
};

Matrix random_matrix(Random& random, Format format, int64_t rows, int64_t columns, bool wide, int64_t group) {
    Matrix matrix{format, rows, columns, group, wide, {}, {}, {}};
    matrix.codes.resize(size_t(rows * columns));
    fill(random, matrix.codes, format.range);
    if (std::string(format.name) == "binary")
        for (int16_t& code : matrix.codes) code = code > 0 ? 1 : -1;
    if (group > 0) {
        matrix.scale.resize(size_t(rows * matrix.groups()));
        fill(random, matrix.scale, {1, 1 << 14});
    }
    return matrix;
}

// ---- Targets --------------------------------------------------------------------------------------------------------

struct Target {
    std::string name;
    int64_t products = 0, networks = 0, numbers = 0;
};
std::vector<Target> all_targets() {
    std::vector<Target> found;
    std::istringstream names(fewbit_targets());
    for (std::string name; names >> name;) found.push_back({name});
    return found;
}

template <class Number>
void compare(Target& target, const Number* got, const Number* wanted, int64_t frames, int64_t width,
             const std::function<std::string()>& what) {
    for (int64_t i = 0; i < frames * width; ++i)
        if (!(got[i] == wanted[i]))
            fail(text(target.name, ": ", what(), ": frame ", i / width, ", output ", i % width, " is ", got[i], ", not ",
                      wanted[i]));
    target.numbers += frames * width;
}

const int64_t kFrames[] = {64, 33, 17, 16, 8, 5, 4, 3, 2, 1, 0};
const int64_t kSizes[] = {1, 3, 17, 63, 64, 65, 1000};
const Range kActivations[] = {{-128, 127}, {0, 255},    {-32768, 32767}, {-127, 127}, {0, 1},       {-1, 1},
                              {-200, 55},  {5, 200},    {-300, -100},    {0, 32767},  {-129, 127},  {-32768, 0},
                              {0, 256},    {-2000, 40}, {7, 7},          {-255, 0},   {-128, -128}, {32512, 32767}};

void check_product(Random& random, std::vector<Target>& targets, Matrix matrix, Range range, int64_t most) {
    matrix.make();
    Codes x(size_t(most * matrix.columns));
    fill(random, x, range);
    // Sums that pass 32 bits are those modulo 2**32.
    Codes wanted(size_t(most * matrix.rows));
    for (int64_t t = 0; t < most; ++t)
        for (int64_t r = 0; r < matrix.rows; ++r)
            wanted[size_t(t * matrix.rows + r)] = int32_t(matrix.product(r, x.data() + t * matrix.columns));
    for (Target& target : targets) {
        for (int64_t frames : kFrames) {
            if (frames > most) continue;
            for (int threads = 1; threads <= (frames == most ? 2 : 1); ++threads) {
                // Nothing may be written behind the last frame.
                Codes y(size_t((frames + 1) * matrix.rows), 123456789);
                const int32_t done = fewbit_matrix_multiply(matrix.handle.get(), target.name.c_str(), x.data(), frames,
                                                            range.low, range.high, threads, y.data());
                const auto what = [&] {
                    return text(matrix.name(), ", x in ", text(range), ", ", frames, " frames, ", threads, " threads");
                };
                demand(done == 0, text(target.name, ": ", what(), " refused: ", fewbit_error()));
                compare(target, y.data(), wanted.data(), frames, matrix.rows, what);
                for (int64_t r = 0; r < matrix.rows; ++r)
                    demand(y[size_t(frames * matrix.rows + r)] == 123456789, text(target.name, ": written behind: ", what()));
            }
        }
        ++target.products;
    }
}

void check_floats(Random& random, std::vector<Target>& targets, Matrix matrix) {
    matrix.make();
    const int64_t frames = random.choose(kFrames) + 1;
    std::vector<float> x(size_t(frames * matrix.columns)), scale(size_t(matrix.rows)), wanted(size_t(frames * matrix.rows));
    for (float& value : scale) value = float(random.real(-2, 2));
    const float magnitudes[] = {0.0f, 1e-44f, 9e-31f, 1.1e-30f, 1e-5f, 1.0f, 1.0f, 3e38f};
    Codes codes(size_t(matrix.columns));
    for (int64_t t = 0; t < frames; ++t) {
        float* frame = x.data() + t * matrix.columns;
        const float magnitude = random.choose(magnitudes);
        const bool halves = random.chance(25);  // a step of 1, and values between two codes
        float most = 0;
        for (int64_t i = 0; i < matrix.columns; ++i) {
            frame[i] = halves ? float(random.between(-254, 254)) / 2 : float(random.real(-1, 1)) * magnitude;
            if (halves && i == 0) frame[i] = -127;
            most = std::max(most, std::fabs(frame[i]));
        }
        const bool counts = most > 1e-30f;
        const float step = counts ? most / 127.0f : 0.0f, inverse = counts ? 127.0f / most : 0.0f;
        for (int64_t i = 0; i < matrix.columns; ++i) codes[size_t(i)] = int32_t(std::nearbyint(frame[i] * inverse));
        for (int64_t r = 0; r < matrix.rows; ++r)
            wanted[size_t(t * matrix.rows + r)] = float(int32_t(matrix.product(r, codes.data()))) * (scale[size_t(r)] * step);
    }
    for (Target& target : targets)
        for (int threads = 1; threads <= 2; ++threads) {
            std::vector<float> y(wanted.size());
            const auto what = [&] { return text("floats with ", matrix.name(), ", ", frames, " frames"); };
            demand(fewbit_matrix_apply(matrix.handle.get(), target.name.c_str(), x.data(), frames, scale.data(), threads,
                                       y.data()) == 0,
                   text(target.name, ": ", what(), " refused: ", fewbit_error()));
            compare(target, y.data(), wanted.data(), frames, matrix.rows, what);
            ++target.products;
        }
}

// Sums of the longest rows: as bytes their parts would pass 32 bits in every target that does not mind.
void check_long_rows(Random& random, std::vector<Target>& targets, int64_t scale) {
    struct Case {
        Format format;
        bool wide;
        int64_t columns;
        int16_t code;
        Range x;
    };
    const Case cases[] = {
        {{"int8", {-128, 127}}, false, 70003, 127, {-128, 127}},   {{"uint8", {0, 255}}, false, 65536 * 2 + 4, 255, {0, 255}},
        {{"uint4", {0, 15}}, false, 131072 + 68, 15, {-128, 127}}, {{"int3", {-4, 3}}, false, 262144 + 20, 3, {-128, -128}},
        {{"uint1", {0, 1}}, false, 524288 + 65, 1, {0, 255}},      {{"ternary", {-1, 1}}, true, 280000, 0, {-32768, 32767}},
    };
    for (const Case& one : cases) {
        const int64_t columns = std::max<int64_t>(one.columns / scale, 1), rows = random.choose({1, 3, 17});
        Matrix matrix{one.format, rows, columns, 0, one.wide, {}, {}, {}};
        matrix.codes.assign(size_t(rows * columns), one.code);
        check_product(random, targets, matrix, one.x, 5);
        matrix.codes.assign(size_t(rows * columns), int16_t(one.format.range.low));
        check_product(random, targets, matrix, one.x, 2);
    }
}

void check_any_product(Random& random, std::vector<Target>& targets, Format format, Range range, bool wide,
                       int64_t most_codes) {
    int64_t rows, columns;
    do {
        rows = random.choose(kSizes), columns = random.choose(kSizes);
    } while (rows * columns > most_codes);
    // Groups of up to 256 columns keep the sums of each within 32 bits, whatever the numbers are.
    const int64_t group = random.chance(25) ? random.choose({1, 5, 16, 64, 65, 128, 256}) : 0;
    check_product(random, targets, random_matrix(random, format, rows, columns, wide, group), range, 64);
}

// ---- Networks -------------------------------------------------------------------------------------------------------

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
    fewbit_linear linear() const { return {matrix.handle.get(), bias.empty() ? nullptr : bias.data(), rescale.view()}; }

    int32_t append(fewbit_network* network) const {
        const fewbit_linear hidden{back.handle.get(), nullptr, rescale_back.view()};
        switch (kind) {
            case Kind::kRequantize: return fewbit_network_requantize(network, rescale.view());
            case Kind::kDense:
            case Kind::kConv: return fewbit_network_conv(network, linear(), kernel, stride);
            case Kind::kSru:
                return fewbit_network_sru(network, linear(), outputs, cell_multiplier, skip_multiplier, output.shift,
                                          output.range.low, output.range.high);
            case Kind::kQrnn: return fewbit_network_qrnn(network, linear(), outputs, kernel, output.view());
            case Kind::kLstm: return fewbit_network_lstm(network, linear(), hidden, outputs, output.view());
            default: return fewbit_network_gru(network, linear(), hidden, outputs, bias_hidden.data(), output.view());
        }
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
    std::string name() const {
        std::string name = text(inputs(), " features to ", text(codes));
        for (const Layer& layer : layers) name += "; " + layer.name();
        return name;
    }
    std::shared_ptr<fewbit_network> open(const std::string& target) const {
        std::shared_ptr<fewbit_network> network(
            fewbit_network_new(target.c_str(), gain.data(), offset.data(), inputs(), codes.low, codes.high), fewbit_network_free);
        demand(network != nullptr, text(name(), " was refused: ", fewbit_error()));
        for (const Layer& layer : layers)
            demand(layer.append(network.get()) == 0, text(name(), ": ", layer.name(), " was refused: ", fewbit_error()));
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

Network random_network(Random& random, const std::vector<Kind>& kinds) {
    Network network;
    const int64_t inputs = random.choose({1, 3, 17, 40, 64, 65});
    network.codes = random.choose(kSignals);
    Range range = network.codes;
    for (int64_t i = 0; i < inputs; ++i) {
        network.gain.push_back(float(random.real(-1, 1) * double(range.magnitude())));
        network.offset.push_back(random.chance(30) ? 0.0f : float(random.real(-1, 1) * double(range.magnitude()) / 4));
    }
    for (size_t i = 0; i < kinds.size(); ++i) {
        network.layers.push_back(random_layer(random, kinds[i], network.outputs(), range, i + 1 == kinds.size()));
        range = network.layers.back().range();
    }
    return network;
}

std::vector<float> random_features(Random& random, const Network& network, int64_t frames) {
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
std::vector<int64_t> stream_in_pieces(Random& random, fewbit_network* network, const Network& plan, const std::vector<float>& x,
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
                                                    y.data(), threads, random.choose({1, 2, 3, 16, 64}));
        demand(written >= 0 && written <= count, text("a piece was refused: ", fewbit_error()));
        if (!in_place) demand(state == before, "the state before a step has changed"), state = after;
        all.insert(all.end(), y.begin(), y.begin() + written * plan.outputs());
        first += count;
    }
    return all;
}

void check_network(Random& random, std::vector<Target>& targets, const Network& network) {
    const int64_t frames = random.choose({1, 2, 5, 17, 40, 70}), inputs = network.inputs(), outputs = network.outputs();
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
        const int64_t written = fewbit_network_step(opened.get(), x.data(), frames, start.data(), state.data(), y.data(), 1, block);
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
        demand(fewbit_network_step(opened.get(), bad.data(), frames, start.data(), pieces.data(), y.data(), 1, block) == -2,
               text(target.name, ": ", what(), ": NaN was not told"));
        demand(start == before, "the state before a refused step has changed");
        ++target.networks;
        (void)inputs;
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

// ---- What must be refused -------------------------------------------------------------------------------------------

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

int run(uint64_t seed, double seconds) {
    const auto begin = std::chrono::steady_clock::now();
    const auto past = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
    Random random(seed);
    std::vector<Target> targets = all_targets();
    demand(!targets.empty() && targets.back().name == "scalar", "there is no scalar target");
    check_refusals();
    demand(fewbit_set_tanh(table().data(), 1025) == 0, "the table of tanh was refused");

    for (const Format& format : kFormats)
        for (const Range& range : kActivations)
            for (bool wide : {false, true}) check_any_product(random, targets, format, range, wide, seconds < 5 ? 5000 : 20000);
    for (const Format& format : kFormats)
        check_floats(random, targets, random_matrix(random, format, random.choose({3, 17, 65}), random.choose({1, 63, 65}), false, 0));
    check_long_rows(random, targets, seconds < 5 ? 16 : 1);
    for (Kind kind : kKinds)
        for (int i = 0; i < 5; ++i) check_network(random, targets, random_network(random, {kind}));
    check_network(random, targets, random_network(random, {}));
    check_at_once(random, targets);
    const double first = past();

    while (past() < seconds) {
        const Format format = random.choose(kFormats);
        check_any_product(random, targets, format, random.choose(kActivations), random.chance(50), 1000000);
        check_floats(random, targets, random_matrix(random, format, random.choose({3, 17, 65, 1000}), random.choose({1, 63, 65, 200}),
                                                    random.chance(50), random.choose({0, 0, 16, 50})));
        for (int i = 0; i < 6; ++i) {
            std::vector<Kind> kinds;
            for (int64_t layers = random.between(1, 4); layers > 0; --layers) kinds.push_back(random.choose(kKinds));
            check_network(random, targets, random_network(random, kinds));
        }
        if (random.chance(20)) check_at_once(random, targets);
    }
    for (const Target& target : targets)
        std::printf("%-8s %6lld matrices, %5lld networks: %10lld numbers equal\n", target.name.c_str(), (long long)target.products,
                    (long long)target.networks, (long long)target.numbers);
    std::printf("seed %llu: %.1f s, the first round %.1f s\n", (unsigned long long)seed, past(), first);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    return run(count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1, count > 2 ? std::atof(arguments[2]) : 12.0);
}
