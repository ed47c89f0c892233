#include "beam_api.h"

#include <cmath>
#include <cstring>

#include "beam.h"
#include "guard.h"
#include "scorer_handle.h"

using namespace fewbit;

struct fewbit_beam {
    Beam beam;
};

namespace {

constexpr int64_t kMost = 1 << 20;

bool count(int64_t number) { return number >= 1 && number <= kMost; }

}  // namespace

extern "C" {

fewbit_beam* fewbit_beam_new(const fewbit_beam_options* options, const fewbit_scorer* scorer) {
    return guarded<fewbit_beam*>(nullptr, [&] {
        demand(options != nullptr && options->classes >= 2 && options->classes <= kMost, "a beam needs labels");
        demand(count(options->width) && count(options->depth), "width and depth lie in 1..2**20");
        demand(count(options->prune_interval) && count(options->show_interval),
               "prune_interval and show_interval lie in 1..2**20");
        demand(options->endpoint >= 1 && options->longest >= 1, "endpoint and longest are counts of frames");
        demand(std::fabs(options->insertion_bonus) <= 50, "insertion_bonus lies in -50..50");
        const Scorer* model = scorer == nullptr ? nullptr : scorer->scorer.get();
        demand(model == nullptr || model->classes() == options->classes, "the scorer has other classes than the beam");
        return new fewbit_beam{Beam(*options, model)};
    });
}

fewbit_beam* fewbit_beam_copy(const fewbit_beam* beam) {
    return guarded<fewbit_beam*>(nullptr, [&] { return new fewbit_beam(*beam); });
}

void fewbit_beam_free(fewbit_beam* beam) { delete beam; }

int32_t fewbit_beam_step(fewbit_beam* beam, const double* scores, int64_t frames) {
    return guarded(-1, [&] {
        beam->beam.step(scores, frames);
        return 0;
    });
}

int32_t fewbit_beam_finish(fewbit_beam* beam) {
    return guarded(-1, [&] {
        beam->beam.report.clear();
        beam->beam.finish();
        return 0;
    });
}

int32_t fewbit_beam_best(fewbit_beam* beam, int64_t count) {
    return guarded(-1, [&] {
        demand(count >= 0, "a count of strings is not negative");
        beam->beam.best(count);
        return 0;
    });
}

const int64_t* fewbit_beam_report(const fewbit_beam* beam, int64_t* count) {
    *count = int64_t(beam->beam.report.size());
    return beam->beam.report.data();
}

int64_t fewbit_beam_nodes(const fewbit_beam* beam) { return beam->beam.nodes(); }

int64_t fewbit_beam_save(const fewbit_beam* beam, uint8_t* bytes) {
    return guarded(int64_t(-1), [&] {
        const std::vector<uint8_t> saved = beam->beam.save();
        if (bytes != nullptr) std::memcpy(bytes, saved.data(), saved.size());
        return int64_t(saved.size());
    });
}

int32_t fewbit_beam_restore(fewbit_beam* beam, const uint8_t* bytes, int64_t count) {
    return guarded(-1, [&] {
        beam->beam.restore(bytes, count);
        return 0;
    });
}

}  // extern "C"
