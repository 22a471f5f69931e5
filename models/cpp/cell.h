// The membrane map and the size of a synaptic event: what Brian2's generated code calls at every step.
// Plain functions, so that the arithmetic is exactly what is written; models/brian2_network.py has the NumPy twins.
#ifndef FORAGING_CELL_H
#define FORAGING_CELL_H
#include "constants.h"
#include "draws.h"

namespace foraging {

// V[n+1]; both candidate values are computed, so that the compiler can treat several cells at once
inline double next_V(double V, double V_2, double u, double x) {
    const double w = u + constants::beta_e * x;
    const double peak = constants::alpha + w;
    const double subthreshold = constants::alpha / (1.0 - V) + w;
    const double above = (V < peak && V_2 <= 0.0) ? peak : -1.0;
    return V <= 0.0 ? subthreshold : above;
}

inline double next_u(double V, double u, double x) {
    return u - constants::mu * (V + 1.0) + constants::mu * constants::sigma + constants::mu * x;
}

inline double next_x(double x) { return constants::input_decay * x; }

inline double unchanged(double V) { return V; }

// 1 - R + 2 R X, with the draw X of synapse (i, j) at step `step` of the epoch
inline double event_size(int64_t seed, int64_t stream, int64_t epoch, int64_t step, int64_t i, int64_t j, int64_t n_pre,
                         int64_t n_post) {
    const uint64_t key = stream_key(seed, stream, epoch);
    const double X = uniform(key, (static_cast<uint64_t>(step) * n_pre + i) * n_post + j);
    return (1.0 - constants::noise) + 2.0 * constants::noise * X;
}

}  // namespace foraging
#endif
