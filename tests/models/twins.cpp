// Plain C functions around the headers of models/cpp, for tests that compare these with their Python twins.
#include <cstdint>
#include <vector>
#include "cell.h"
#include "plasticity.h"
#include "world.h"

using namespace foraging;

namespace {

constexpr uint64_t COUNTS_STREAM = 99;  // not used by the model: spike counts of the walk below

Traces traces_of(int64_t n, const int32_t* synapse, const double* value, const int64_t* step) {
    Traces traces;
    for (int64_t k = 0; k < n; ++k) traces.add(synapse[k], value[k], step[k]);
    return traces;
}

uint64_t hash_grid(uint64_t hash, const std::vector<int8_t>& grid) {  // FNV-1a
    for (int8_t square : grid) hash = (hash ^ static_cast<uint64_t>(square)) * 0x100000001B3ULL;
    return hash;
}

}  // namespace

extern "C" {

int64_t stream_numbers(int64_t* out) {
    int64_t n = 0;
    for (uint64_t stream : {WORLD, NEW_PARTICLE, DIRECTION_TIE, EXPLORATION, SLEEP_PULSE}) out[n++] = static_cast<int64_t>(stream);
    return n;
}

int64_t draw(int64_t n, const uint64_t* seed, const uint64_t* stream, const uint64_t* epoch, const uint64_t* index, const int64_t* range,
             uint64_t* key, double* real, int64_t* whole) {
    for (int64_t k = 0; k < n; ++k) {
        key[k] = stream_key(seed[k], stream[k], epoch[k]);
        real[k] = uniform(key[k], index[k]);
        whole[k] = integer(key[k], index[k], range[k]);
    }
    return 0;
}

int64_t advance(int64_t n, const double* V, const double* V_2, const double* u, const double* x, double* V_new, double* u_new,
                double* x_new) {
    for (int64_t k = 0; k < n; ++k) {
        V_new[k] = next_V(V[k], V_2[k], u[k], x[k]);
        u_new[k] = next_u(V[k], u[k], x[k]);
        x_new[k] = next_x(x[k]);
    }
    return 0;
}

int64_t event_sizes(int64_t n, int64_t seed, int64_t stream, int64_t epoch, int64_t step, const int64_t* i, const int64_t* j,
                    int64_t n_pre, int64_t n_post, double* size) {
    for (int64_t k = 0; k < n; ++k) size[k] = event_size(seed, stream, epoch, step, i[k], j[k], n_pre, n_post);
    return 0;
}

// Random output spikes move an agent through the world; a record per move: move, eaten type, x, y, and a hash of the grid.
int64_t walk(int64_t seed, int64_t first_epoch, int64_t n_moves, int64_t moves_per_world, int64_t size, const int8_t* present, int64_t per_type,
             int64_t n_present, const int64_t* offsets, int64_t most_squares, const int64_t* squares, const int8_t* outcome, int64_t hunger_per_percent, int64_t* record, uint64_t* hash) {
    GridWorld world(static_cast<int>(size));
    world.offsets.assign(offsets, offsets + 2 * most_squares * n_present);
    world.squares.assign(squares, squares + n_present);
    int x = static_cast<int>(size / 2), y = x, last_move = 4;
    int64_t hunger = 0;
    for (int64_t n = 0; n < n_moves; ++n) {
        const uint64_t epoch = static_cast<uint64_t>(first_epoch + n);
        if (n % moves_per_world == 0 && !world.draw(present, n_present, per_type, stream_key(seed, WORLD, epoch))) return n;
        int64_t counts[8];
        const uint64_t counts_key = stream_key(seed, COUNTS_STREAM, epoch);
        for (int o = 0; o < 8; ++o) counts[o] = integer(counts_key, o, 3) * (integer(counts_key, 8 + o, 3) / 2);
        last_move = choose_move(counts, last_move, hunger, hunger_per_percent, stream_key(seed, DIRECTION_TIE, epoch),
                                stream_key(seed, EXPLORATION, epoch));
        x = world.wrap(x + last_move % 3 - 1);
        y = world.wrap(y + last_move / 3 - 1);
        const int eaten = world.eat(x, y, stream_key(seed, NEW_PARTICLE, epoch));
        hunger = outcome[eaten] == 1 || outcome[eaten] == 2 ? 0 : hunger + 1;
        const int64_t row[] = {last_move, eaten, x, y, hunger};
        for (int k = 0; k < 5; ++k) record[5 * n + k] = row[k];
        hash[n] = hash_grid(hash_grid(0xCBF29CE484222325ULL, world.grid), world.part);
    }
    return n_moves;
}

int64_t change_hidden_output_at(double* W, const double* total, double* average, const char* frozen, int64_t n_hidden, int64_t n_traces,
                                const int32_t* synapse, const double* value, const int64_t* step, int64_t T, double S) {
    std::vector<double> sum;
    change_hidden_output(W, total, constants::INITIAL_HIDDEN_OUTPUT_TOTAL, average, frozen, n_hidden * N_OUTPUT,
                         traces_of(n_traces, synapse, value, step), T, S, sum);
    return 0;
}

int64_t change_input_hidden_at(double* W, const int32_t* input_index, const double* total, const double* initial_total, int64_t n_synapses,
                               int64_t n_traces, const int32_t* synapse, const double* value, const int64_t* step, int64_t T) {
    change_input_hidden(W, input_index, total, initial_total, n_synapses, traces_of(n_traces, synapse, value, step), T);
    return 0;
}

int64_t scale_inputs_of_hidden(double* W, const int32_t* hidden_index, const double* target, int64_t n_synapses, int64_t n_hidden) {
    std::vector<double> factor;
    scale_input_hidden(W, hidden_index, target, n_synapses, n_hidden, factor);
    return 0;
}

int64_t scale_inputs_of_output(double* W, const char* frozen, int64_t n_hidden) {
    scale_hidden_output(W, frozen, constants::OUTPUT_INPUT_TARGET, n_hidden);
    return 0;
}

int64_t balance(const double* W, const char* frozen, double* total, double* inhibition, int64_t n_hidden) {
    balance_outputs(W, frozen, total, inhibition, n_hidden);
    return 0;
}

int64_t average(double* rate, const int64_t* spikes, int64_t n) {
    average_rates(rate, spikes, n);
    return 0;
}

int64_t regulate_to(double* value, const double* rate, double target_rate, double step, int64_t n) {
    regulate(value, rate, target_rate, step, n);
    return 0;
}

// Traces that are left at boundary T, in place; returns their number. aged (n,) is s_k of each of these.
int64_t forget_traces(int64_t n, int32_t* synapse, double* value, int64_t* step, int64_t T, double* aged) {
    Traces traces = traces_of(n, synapse, value, step);
    traces.forget(T);
    for (size_t k = 0; k < traces.synapse.size(); ++k) {
        synapse[k] = traces.synapse[k];
        value[k] = traces.value[k];
        step[k] = traces.step[k];
        aged[k] = traces.aged(k, T);
    }
    return static_cast<int64_t>(traces.synapse.size());
}

}  // extern "C"
