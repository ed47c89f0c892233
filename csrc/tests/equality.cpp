// Every target that runs here against plain loops, bit for bit: products, networks as streams, and arguments that must
// be refused. The loops follow docs/internals/numerics.md and share no code with the library. Graphs of the operations that
// no loop is written for here (tests/native/test_graph_ops.py compares them with the NumPy reference) are compared between
// targets, and between streams in pieces and in one.
//
//   fewbit_equality [seed [seconds]]
//
// A first round goes through every format, range and kind of operation; random cases follow until the time is over.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "graphs.h"
#include "hierarchies.h"
#include "refusals.h"

namespace {

int run(uint64_t seed, double seconds) {
    const auto begin = std::chrono::steady_clock::now();
    const auto past = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
    Random random(seed);
    std::vector<Target> targets = all_targets();
    demand(!targets.empty() && targets.back().name == "scalar", "there is no scalar target");
    check_refusals();
    demand(fewbit_set_table("tanh", table().data(), 1025) == 0, "the table of tanh was refused");
    for (const auto& [name, count] : {std::pair("fine", 1025), std::pair("exp", 1024), std::pair("sine", 4097)})
        demand(fewbit_set_table(name, some_points(count).data(), count) == 0, "a table was refused");

    const bool slow = seconds < 5;  // an emulator, or sanitizers
    for (const Format& format : kFormats)
        for (const Range& range : kActivations)
            for (bool wide : {false, true}) check_any_product(random, targets, format, range, wide, slow ? 300 : 20000);
    for (const Format& format : kFormats)
        check_floats(random, targets, random_matrix(random, format, random.choose({3, 17, 65}), random.choose({1, 63, 65}), false, 0));
    check_long_rows(random, targets, slow ? 32 : 1);
    for (Kind kind : kKinds)
        for (int i = 0; i < (slow ? 1 : 5); ++i) check_network(random, targets, random_network(random, {kind}));
    check_network(random, targets, random_network(random, {}));
    for (int i = 0; i < (slow ? 2 : 10); ++i) check_network(random, targets, random_hierarchy(random));
    check_at_once(random, targets);
    for (int i = 0; i < (slow ? 5 : 30); ++i) check_graph(random, targets);
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
        check_network(random, targets, random_hierarchy(random));
        check_graph(random, targets);
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
