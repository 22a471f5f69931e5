// Traces, plasticity event, normalisation and homeostasis, the C++ twin of models/rules.py.
#ifndef FORAGING_PLASTICITY_H
#define FORAGING_PLASTICITY_H
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>
#include "constants.h"

namespace foraging {

using constants::N_OUTPUT;

struct Traces {  // in the order in which they were made
    std::vector<int32_t> synapse;
    std::vector<double> value;
    std::vector<int64_t> step;

    void add(int32_t s, double v, int64_t n) {
        synapse.push_back(s);
        value.push_back(v);
        step.push_back(n);
    }

    void forget(int64_t boundary) {  // those that have lived through their boundaries
        size_t kept = 0;
        for (size_t k = 0; k < synapse.size(); ++k)
            if (boundary - step[k] < constants::trace_life_steps) {
                synapse[kept] = synapse[k];
                value[kept] = value[k];
                step[kept++] = step[k];
            }
        synapse.resize(kept);
        value.resize(kept);
        step.resize(kept);
    }

    double aged(size_t k, int64_t boundary) const {  // s_k = tr_k / (T - t_k + 600)
        return value[k] / static_cast<double>(boundary - step[k] + constants::age_offset_steps);
    }
};

inline double clip(double value, double low, double high) { return std::min(std::max(value, low), high); }

// Reward-modulated change of hidden-to-output strengths at boundary T (then clipped, not yet scaled).
inline void change_hidden_output(double* W, const double* total, double initial_total, double* average, const char* frozen,
                                 size_t n_synapses, const Traces& traces, int64_t T, double S, std::vector<double>& sum) {
    using namespace constants;
    sum.assign(n_synapses, 0.0);
    for (size_t k = 0; k < traces.synapse.size(); ++k) sum[traces.synapse[k]] += traces.aged(k, T);
    for (size_t s = 0; s < n_synapses; ++s) {
        if (frozen[s]) continue;
        const double a = (1.0 - average_rate) * average[s] + average_rate * sum[s];
        average[s] = std::fabs(a) < average_floor ? std::copysign(average_floor, a) : a;
    }
    for (size_t k = 0; k < traces.synapse.size(); ++k) {
        const size_t s = traces.synapse[k];
        const double D = clip(S * traces.aged(k, T) * sum[s] / average[s], -max_change, max_change);
        W[s] *= 1.0 + initial_total / total[s / N_OUTPUT] * D;
    }
    for (size_t s = 0; s < n_synapses; ++s)
        if (!frozen[s]) W[s] = clip(W[s], min_strength, max_strength);
}

// Change of input-to-hidden strengths at boundary T: no reward, no average.
inline void change_input_hidden(double* W, const int32_t* input_index, const double* total, const double* initial_total,
                                size_t n_synapses, const Traces& traces, int64_t T) {
    using namespace constants;
    for (size_t k = 0; k < traces.synapse.size(); ++k) {
        const size_t s = traces.synapse[k];
        const double D = clip(traces.aged(k, T), -max_change, max_change);
        W[s] *= 1.0 + initial_total[input_index[s]] / total[input_index[s]] * D;
    }
    for (size_t s = 0; s < n_synapses; ++s) W[s] = clip(W[s], min_strength, max_input_hidden_strength);
}

// Heterosynaptic scaling of every hidden cell's inputs to its target.
inline void scale_input_hidden(double* W, const int32_t* hidden_index, const double* target, size_t n_synapses, size_t n_hidden,
                               std::vector<double>& factor) {
    factor.assign(n_hidden, 0.0);
    for (size_t s = 0; s < n_synapses; ++s) factor[hidden_index[s]] += W[s];
    for (size_t h = 0; h < n_hidden; ++h) factor[h] = target[h] / factor[h];
    for (size_t s = 0; s < n_synapses; ++s) W[s] = std::max(W[s] * factor[hidden_index[s]], constants::min_strength);
}

// Heterosynaptic scaling of every output cell's non-frozen inputs, so that all its inputs sum to the target.
inline void scale_hidden_output(double* W, const char* frozen, double target, size_t n_hidden) {
    double fixed[N_OUTPUT] = {}, plastic[N_OUTPUT] = {}, factor[N_OUTPUT];
    for (size_t h = 0; h < n_hidden; ++h)
        for (int o = 0; o < N_OUTPUT; ++o) {
            const size_t s = h * N_OUTPUT + o;
            fixed[o] += frozen[s] ? W[s] : 0.0;
            plastic[o] += frozen[s] ? 0.0 : W[s];
        }
    for (int o = 0; o < N_OUTPUT; ++o) factor[o] = (target - fixed[o]) / plastic[o];
    for (size_t h = 0; h < n_hidden; ++h)
        for (int o = 0; o < N_OUTPUT; ++o) {
            const size_t s = h * N_OUTPUT + o;
            if (!frozen[s]) W[s] = std::max(W[s] * factor[o], constants::min_strength);
        }
}

// W_i over the non-frozen outputs of each hidden cell, and its inhibition, minus their mean.
inline void balance_outputs(const double* W, const char* frozen, double* total, double* inhibition, size_t n_hidden) {
    for (size_t h = 0; h < n_hidden; ++h) {
        double sum = 0.0;
        int n = 0;
        for (int o = 0; o < N_OUTPUT; ++o)
            if (!frozen[h * N_OUTPUT + o]) {
                sum += W[h * N_OUTPUT + o];
                ++n;
            }
        total[h] = sum;
        if (n > 0) inhibition[h] = -(sum / n);
    }
}

inline void average_rates(double* rate, const int64_t* spikes, size_t n) {
    for (size_t k = 0; k < n; ++k)
        rate[k] = (1.0 - constants::rate_average) * rate[k] + constants::rate_average * static_cast<double>(spikes[k]);
}

// Multiply by 1 + step where the rate is on one side of its target, by 1 - step on the other; sign = +1: up when above.
inline void regulate(double* value, const double* rate, double target_rate, double step, size_t n) {
    for (size_t k = 0; k < n; ++k) {
        if (rate[k] > target_rate) value[k] *= 1.0 + step;
        if (rate[k] < target_rate) value[k] *= 1.0 - step;
    }
}

}  // namespace foraging
#endif
