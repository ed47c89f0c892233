// Matrices of every format, and their products on every target.
#pragma once

#include <functional>
#include <memory>

#include "integers.h"

namespace {

struct Format {
    const char* name;
    Range range;
};
const Format kFormats[] = {
    {"ternary", {-1, 1}}, {"binary", {-1, 1}},  {"int2", {-2, 1}},    {"int3", {-4, 3}},      {"int4", {-8, 7}},
    {"int5", {-16, 15}},  {"int6", {-32, 31}},  {"int7", {-64, 63}},  {"int8", {-128, 127}},  {"uint1", {0, 1}},
    {"uint3", {0, 7}},    {"uint4", {0, 15}},   {"uint8", {0, 255}},  {"int8s", {-127, 127}}, {"negative", {-255, 0}},
    {"lopsided", {-3, 9}}, {"nothing", {0, 0}}, {"pairs", {-1, 1}},
};

struct Matrix {
    Format format{};
    int64_t rows = 0, columns = 0, group = 0;
    bool wide = false;
    std::vector<int16_t> codes;
    Codes scale;
    std::shared_ptr<fewbit_matrix> handle;

    bool in_pairs() const { return std::string(format.name) == "pairs"; }
    int64_t groups() const { return group > 0 ? (columns + group - 1) / group : 1; }
    std::string name() const {
        return text(format.name, wide ? " wide " : " ", rows, " x ", columns, group > 0 ? text(" groups of ", group) : "");
    }
    void make() {
        handle.reset(fewbit_matrix_new(codes.data(), rows, columns, format.range.low, format.range.high, in_pairs() ? 2 : wide, group,
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
    if (matrix.in_pairs()) matrix.group = group = 0;
    matrix.codes.resize(size_t(rows * columns));
    fill(random, matrix.codes, format.range);
    if (std::string(format.name) == "binary")
        for (int16_t& code : matrix.codes) code = code > 0 ? 1 : -1;
    // Too many of a group of pairs, from a random place on, become zeros.
    for (int64_t row = 0; matrix.in_pairs() && row < rows; ++row)
        for (int64_t i = 0; i < columns; i += 8) {
            const int64_t count = std::min<int64_t>(8, columns - i), first = random.between(0, count - 1);
            for (int64_t k = 0, kept = 0; k < count; ++k) {
                int16_t& code = matrix.codes[size_t(row * columns + i + (first + k) % count)];
                if (code != 0 && ++kept > 2) code = 0;
            }
        }
    if (group > 0) {
        matrix.scale.resize(size_t(rows * matrix.groups()));
        fill(random, matrix.scale, {1, 1 << 14});
    }
    return matrix;
}

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
        {{"pairs", {-1, 1}}, false, 131072 + 68, 1, {-128, -128}}, {{"pairs", {-1, 1}}, false, 9000, 1, {-32768, 32767}},
        {{"uint1", {0, 1}}, false, 524288 + 65, 1, {0, 255}},      {{"ternary", {-1, 1}}, true, 280000, 0, {-32768, 32767}},
    };
    for (const Case& one : cases) {
        const int64_t columns = std::max<int64_t>(one.columns / scale, 1), rows = random.choose({1, 3, 17});
        Matrix matrix{one.format, rows, columns, 0, one.wide, {}, {}, {}};
        const auto assign = [&](int16_t code) {
            matrix.codes.assign(size_t(rows * columns), code);
            for (int64_t i = 0; matrix.in_pairs() && i < rows * columns; ++i)
                if (i % columns % 8 > 1) matrix.codes[size_t(i)] = 0;
        };
        assign(one.code);
        check_product(random, targets, matrix, one.x, 5);
        assign(int16_t(one.format.range.low));
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

}  // namespace
