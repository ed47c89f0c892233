// The recursions of online CTC: plain loops, one part of an utterance after the other.
#include "online_ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fewbit {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

double log_sum(double a, double b, double c) {
    const double most = std::max(a, std::max(b, c));
    if (!(most > kNever)) return most;
    return most + std::log(std::exp(a - most) + std::exp(b - most) + std::exp(c - most));
}

struct Lattice {
    const fewbit_online_ctc_extent& e;
    const fewbit_online_ctc_part& part;
    const int64_t* said;
    const float* rows;  // logits of the stream
    double *alpha, *norm;

    int64_t states() const { return 2 * part.labels + 1; }
    int64_t symbol(int64_t u) const { return u % 2 == 0 ? 0 : said[u / 2]; }
    // Whether state u follows u - 2: no blank is needed between labels that differ.
    bool skips(int64_t u) const { return u % 2 == 1 && u > 1 && said[u / 2] != said[u / 2 - 1]; }
    double log_y(int64_t t, int64_t u) const { return double(rows[t * e.classes + symbol(u)]) - norm[t]; }

    void normalise() const {
        for (int64_t t = part.start; t < part.stop; ++t) {
            const float* row = rows + t * e.classes;
            const double most = *std::max_element(row, row + e.classes);
            double sum = 0;
            for (int64_t k = 0; k < e.classes; ++k) sum += std::exp(double(row[k]) - most);
            norm[t] = most + std::log(sum);
        }
    }

    void forward(const double* before) const {
        const int64_t n = states();
        for (int64_t t = part.start; t < part.stop; ++t) {
            double* now = alpha + t * e.states;
            if (t == part.start && part.begins) {
                std::fill(now, now + n, kNever);
                now[0] = log_y(t, 0);
                if (n > 1 && !e.force_blank_first) now[1] = log_y(t, 1);
                continue;
            }
            const double* last = t == part.start ? before : now - e.states;
            for (int64_t u = 0; u < n; ++u) {
                const double one = u > 0 ? last[u - 1] : kNever, two = skips(u) ? last[u - 2] : kNever;
                now[u] = log_sum(last[u], one, two) + log_y(t, u);
            }
        }
    }

    // ln beta of the last frame of the part; the sum over all states there is the score.
    double finish(double* beta) const {
        const int64_t n = states();
        const double* end = alpha + (part.stop - 1) * e.states;
        double score = kNever;
        for (int64_t u = 0; u < n; ++u) {
            beta[u] = part.ending == 2 || u >= n - 2 ? 0.0 : kNever;
            score = log_sum(score, end[u] + beta[u], kNever);
        }
        return score;
    }

    // ln beta one frame earlier. `ahead` becomes ln beta(t+1, u) y(t+1, u).
    void back(int64_t t, double* ahead, double* beta) const {
        const int64_t n = states();
        for (int64_t u = 0; u < n; ++u) ahead[u] += log_y(t + 1, u);
        for (int64_t u = 0; u < n; ++u) {
            const double one = u + 1 < n ? ahead[u + 1] : kNever;
            const double two = u + 2 < n && skips(u + 2) ? ahead[u + 2] : kNever;
            beta[u] = log_sum(ahead[u], one, two);
        }
    }

    // y less the posterior of the classes, whose sum is made 1.
    void error(int64_t t, const double* beta, double* posterior, float* errors) const {
        const int64_t n = states();
        const double* now = alpha + t * e.states;
        double most = kNever, total = 0;
        for (int64_t u = 0; u < n; ++u) most = std::max(most, now[u] + beta[u]);
        std::fill(posterior, posterior + e.classes, 0.0);
        for (int64_t u = 0; u < n; ++u) {
            const double mass = std::exp(now[u] + beta[u] - most);
            posterior[symbol(u)] += mass;
            total += mass;
        }
        const float* row = rows + t * e.classes;
        for (int64_t k = 0; k < e.classes; ++k)
            errors[k] = float(std::exp(double(row[k]) - norm[t]) - posterior[k] / total);
    }
};

}  // namespace
}  // namespace fewbit

using namespace fewbit;

void fewbit_online_ctc(const fewbit_online_ctc_extent* e, const fewbit_online_ctc_part* parts, const int64_t* labels,
                       const float* logits, const double* before, float* errors, double* after, double* scores,
                       double* room) {
    double *alpha = room, *beta = alpha + e->frames * e->states, *ahead = beta + e->states, *norm = ahead + e->states,
           *posterior = norm + e->frames;
    const int64_t stream_size = e->frames * e->classes;
    for (int64_t i = 0; i < e->parts; ++i) {
        const fewbit_online_ctc_part& part = parts[i];
        const Lattice lattice{*e, part, labels + part.first, logits + part.stream * stream_size, alpha, norm};
        lattice.normalise();
        lattice.forward(before + part.stream * e->states);
        if (part.kept >= 0) {
            const double* row = alpha + part.kept * e->states;
            std::copy(row, row + lattice.states(), after + part.stream * e->states);
        }
        scores[i] = part.ending == 0 ? std::numeric_limits<double>::quiet_NaN() : lattice.finish(beta);
        if (!(scores[i] > kNever)) continue;
        for (int64_t t = part.stop - 1;;) {
            if (t < part.errors) lattice.error(t, beta, posterior, errors + part.stream * stream_size + t * e->classes);
            if (t-- == part.start) break;
            std::swap(beta, ahead);
            lattice.back(t, ahead, beta);
        }
    }
}
