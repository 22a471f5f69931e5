// The closed loop around the compiled Brian2 network: what happens at epoch boundaries, and the exchange of state with Python.
//
// Cells and strengths are ordinary Brian2 arrays (bindings.h names them); the rest of NetworkState lives in `Loop` below. The
// program reads commands from standard input, so one process serves many phases and trials:
//     load FILE | phase EPOCHS DROPOUT FILE | run EPOCHS SPIKES FILE | save FILE
// FILE holds a state, the rows of a phase, whose turn it is in each epoch of a run (replaced by what happened in them).
#include "worker.h"
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
#include "bindings.h"
#include "network.h"
#include "plasticity.h"
#include "state.h"
#include "world.h"

namespace foraging {
namespace {

using namespace constants;

enum Outcome : int8_t { NOTHING, REWARDED, PUNISHED, OTHER };  // environments/tasks.py

// Named arrays one after the other, the format of models/brian2_compiled.py: name[32], bytes (int64), data.
class Reader {
  public:
    explicit Reader(const std::string& path) : in(path, std::ios::binary) {
        if (!in) throw std::runtime_error("cannot open " + path);
    }
    template <class T> void array(const char* name, T* data, size_t n) {
        if (header(name) != n * sizeof(T)) throw std::runtime_error(std::string("wrong size of ") + name);
        in.read(reinterpret_cast<char*>(data), static_cast<std::streamsize>(n * sizeof(T)));
    }
    template <class T> void vector(const char* name, std::vector<T>& data) {
        data.resize(header(name) / sizeof(T));
        in.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size() * sizeof(T)));
    }

  private:
    size_t header(const char* name) {
        char found[32];
        int64_t bytes;
        in.read(found, 32);
        in.read(reinterpret_cast<char*>(&bytes), 8);
        if (!in || std::strncmp(found, name, 32) != 0) throw std::runtime_error(std::string("expected ") + name);
        return static_cast<size_t>(bytes);
    }
    std::ifstream in;
};

struct Phase {  // a phase in numbers: what holds in its blocks, one row each, as models/rows.py explains
    int64_t epochs = 0;
    bool dropout = false;
    std::vector<int8_t> plastic, asleep, uniform, selective, outcome, present;
    std::vector<double> rate_weights;
    std::vector<int64_t> shown, kept, counted, per_type, offsets, squares;

    void read(Reader& file) {
        file.vector("plastic", plastic);
        file.vector("asleep", asleep);
        file.vector("rate_weights", rate_weights);
        file.vector("uniform", uniform);
        file.vector("shown", shown);
        file.vector("kept", kept);
        file.vector("selective", selective);
        file.vector("counted", counted);
        file.vector("outcome", outcome);
        file.vector("present", present);
        file.vector("per_type", per_type);
        file.vector("offsets", offsets);
        file.vector("squares", squares);
    }
    template <class T> const T* row(const std::vector<T>& table, int64_t block) const {  // of a table with several columns
        return table.data() + block * columns(table);
    }
    template <class T> int64_t columns(const std::vector<T>& table) const {
        return static_cast<int64_t>(table.size() / plastic.size());
    }
};

class Writer {
  public:
    explicit Writer(const std::string& path) : out(path, std::ios::binary) {}
    template <class T> void array(const char* name, const T* data, size_t n) {
        char padded[32] = {};
        std::strncpy(padded, name, 31);
        const int64_t bytes = static_cast<int64_t>(n * sizeof(T));
        out.write(padded, 32);
        out.write(reinterpret_cast<const char*>(&bytes), 8);
        out.write(reinterpret_cast<const char*>(data), bytes);
    }
    template <class T> void vector(const char* name, const std::vector<T>& data) { array(name, data.data(), data.size()); }
    void close() {
        out.close();
        if (!out) throw std::runtime_error("cannot write the result (disk full?)");
    }

  private:
    std::ofstream out;
};

struct Loop : State {
    // NetworkState, as far as neither State (state.h) nor Brian2 holds it
    std::vector<int32_t> removal_order;
    Traces hidden_output_traces, input_hidden_traces;
    GridWorld world{SIZE};

    // derived, or of the present run only
    Phase phase;
    Records records;
    bool keep_spikes = false;
    std::vector<int32_t> synapse_of;  // dense (input, hidden) -> synapse, -1: none
    std::vector<double> scratch;
    int64_t step_offset = 0, first_epoch = 0;
    std::vector<int64_t> block;  // row that holds in each epoch of the present run
    std::vector<int8_t> begins;  // whether a block begins with it
    std::vector<int64_t> hidden_counts;

    template <class Archive> void transfer(Archive& a) {
        transfer_state(a, *this);
        a.vector("removal_order", removal_order);
    }

    uint64_t key(Stream stream) const { return stream_key(*arrays::seed(), stream, *arrays::epoch()); }

    void load(const std::string& path, Network& network) {
        Reader reader(path);
        transfer(reader);
        for (auto& object : network.objects) {  // time starts again, to stay small; absolute steps are kept by step_offset
            object.first->timestep[0] = 0;
            object.first->t[0] = 0.0;
        }
        network.t = 0.0;
        step_offset = epoch * STEPS_PER_EPOCH;
        arrays::forget_spikes();
        synapse_of.assign(static_cast<size_t>(N_INPUT) * N_HIDDEN, -1);
        for (int s = 0; s < N_INPUT_HIDDEN; ++s)
            synapse_of[static_cast<size_t>(arrays::input_index()[s]) * N_HIDDEN + arrays::hidden_index()[s]] = s;
        arrays::set_wiring();
        show_removed();
    }

    void show_removed() {
        for (int h = 0; h < N_HIDDEN; ++h) arrays::intact()[N_INPUT + h] = removed[h] ? 0.0 : 1.0;
    }

    void begin_epoch() {
        collect_spikes();  // the sleep probabilities below count those of the epoch just completed
        *arrays::epoch() = epoch++;
        const int64_t b = block_in(*arrays::epoch());
        if (begins[static_cast<size_t>(*arrays::epoch() - first_epoch)] &&
            !world.draw(phase.row(phase.present, b), phase.columns(phase.present), phase.per_type[b], key(WORLD)))
            throw std::runtime_error("world.density: the grid is too full to place all particles");
        if (phase.dropout) {
            const int64_t n = phase_epoch * N_HIDDEN / phase.epochs;
            for (int64_t k = 0; k < n; ++k) removed[removal_order[k]] = 1;
            show_removed();
        }
        if (phase.counted[b] >= 0) task_epochs[phase.counted[b]] += 1;
        if (!phase.asleep[b]) return;
        if (phase.shown[b] > 0)
            show_pattern(phase.row(phase.rate_weights, b), phase.shown[b]);
        else
            activate_hidden_cells(phase.row(phase.rate_weights, b), phase.uniform[b]);
    }

    int64_t block_in(int64_t epoch) const { return block[static_cast<size_t>(epoch - first_epoch)]; }

    void activate_hidden_cells(const double* weights, bool uniform_over_layer) {  // sleep: weighted mean of the rates counted so far
        double total = 0.0;
        scratch.assign(N_HIDDEN, 0.0);
        for (size_t slot = 0; slot < task_epochs.size(); ++slot) {
            if (task_epochs[slot] == 0) continue;
            total += weights[slot];
            for (int h = 0; h < N_HIDDEN; ++h)
                scratch[h] += weights[slot] * (static_cast<double>(task_spikes[slot * N_HIDDEN + h]) / static_cast<double>(task_epochs[slot]));
        }
        if (!(total > 0.0)) return;
        for (double& r : scratch) r /= total;
        if (uniform_over_layer) {
            double mean = 0.0;
            for (double r : scratch) mean += r;
            scratch.assign(N_HIDDEN, mean / N_HIDDEN);
        }
        const uint64_t k = key(SLEEP_PULSE);
        for (int h = 0; h < N_HIDDEN; ++h)
            if (uniform(k, h) < scratch[h]) arrays::x()[N_INPUT + h] += sleep_pulse;
    }

    // Asleep: one of the latest patterns kept of a task, which is drawn by its weight.
    void show_pattern(const double* weights, int64_t latest) {
        const int64_t n_slots = static_cast<int64_t>(patterns_kept.size());
        const int64_t n_patterns = static_cast<int64_t>(patterns.size()) / (n_slots * N_HIDDEN);
        const uint64_t k = key(SLEEP_PATTERN);
        double total = 0.0;
        for (int64_t slot = 0; slot < n_slots; ++slot)
            if (patterns_kept[slot] > 0) total += weights[slot];
        double left = uniform(k, 0) * total;
        int64_t chosen = -1;
        for (int64_t slot = 0; slot < n_slots; ++slot) {
            if (patterns_kept[slot] == 0 || !(weights[slot] > 0.0)) continue;
            chosen = slot;
            if (left < weights[slot]) break;
            left -= weights[slot];
        }
        if (chosen < 0) return;
        const int64_t kept = patterns_kept[chosen], back = integer(k, 1, std::min({kept, n_patterns, latest}));
        const char* pattern = patterns.data() + ((kept - 1 - back) % n_patterns * n_slots + chosen) * N_HIDDEN;
        for (int h = 0; h < N_HIDDEN; ++h)
            if (pattern[h]) arrays::x()[N_INPUT + h] += sleep_pulse;
    }

    void keep_pattern(int64_t slot) {  // of the spikes since the last boundary
        const int64_t n_slots = static_cast<int64_t>(patterns_kept.size());
        const int64_t n_patterns = static_cast<int64_t>(patterns.size()) / (n_slots * N_HIDDEN);
        char* pattern = patterns.data() + (patterns_kept[slot] % n_patterns * n_slots + slot) * N_HIDDEN;
        for (int h = 0; h < N_HIDDEN; ++h) pattern[h] = hidden_counts[h] > 0;
        patterns_kept[slot] += 1;
    }

    void epoch_boundary() {
        const int64_t T = *arrays::epoch() * STEPS_PER_EPOCH;
        const int64_t b = block_in(*arrays::epoch());
        const bool awake = !phase.asleep[b], plastic = phase.plastic[b];
        collect_spikes();
        std::array<int64_t, N_OUTPUT> output_spikes{};
        hidden_counts.assign(N_HIDDEN, 0);
        size_t fresh = recent_step.size();  // spikes since the last boundary
        while (fresh > 0 && recent_step[fresh - 1] > T - STEPS_PER_EPOCH) --fresh;
        for (size_t k = fresh; k < recent_step.size(); ++k) {
            const int cell = recent_cell[k];
            if (cell >= N_INPUT + N_HIDDEN)
                output_spikes[cell - N_INPUT - N_HIDDEN] += 1;
            else if (cell >= N_INPUT)
                hidden_counts[cell - N_INPUT] += 1;
        }
        make_traces(fresh);
        hidden_output_traces.forget(T);
        input_hidden_traces.forget(T);
        forget_spikes_before(T - pair_window_steps);

        const double S = awake ? forage(phase.row(phase.outcome, b), output_spikes.data()) : rest();
        if (phase.kept[b] >= 0 && !begins[static_cast<size_t>(*arrays::epoch() - first_epoch)] &&
            (!phase.selective[b] || records.outcome.back() == REWARDED))
            keep_pattern(phase.kept[b]);
        if (plastic) change_strengths(T, S);
        if (awake) flash();
        if (plastic) {
            average_rates(hidden_rate.data(), hidden_counts.data(), N_HIDDEN);
            average_rates(output_rate.data(), output_spikes.data(), N_OUTPUT);
            regulate(arrays::resistance() + N_INPUT + N_HIDDEN, output_rate.data(), output_target_rate, output_step, N_OUTPUT);
            if (!input_hidden_frozen)
                regulate(hidden_input_target.data(), hidden_rate.data(), hidden_target_rate, -hidden_step, N_HIDDEN);
        }
        phase_epoch += 1;
    }

    // Move Brian2's monitored spikes into the records and the list of recent spikes.
    void collect_spikes() {
        const auto& cells = arrays::spike_cells();
        const auto& times = arrays::spike_times();
        for (size_t k = 0; k < cells.size(); ++k) {
            const int64_t n = static_cast<int64_t>(times[k] / STEP_SECONDS + 0.5) + step_offset;
            const int64_t e = n / STEPS_PER_EPOCH;
            const int cell = cells[k];
            recent_step.push_back(n);
            recent_cell.push_back(cell);
            const size_t row = static_cast<size_t>(e - first_epoch);
            if (cell >= N_INPUT + N_HIDDEN) {
                records.output_spikes[row] += 1;
            } else if (cell >= N_INPUT) {
                records.hidden_spikes[row] += 1;
                const int64_t counted = phase.counted[block_in(e)];
                if (counted >= 0) task_spikes[counted * N_HIDDEN + cell - N_INPUT] += 1;
            }
            if (keep_spikes) {
                records.spike_step.push_back(n);
                records.spike_cell.push_back(cell);
            }
        }
        arrays::forget_spikes();
    }

    void make_traces(size_t fresh) {
        for (size_t b = fresh; b < recent_step.size(); ++b) {
            size_t first = b;  // the pair is made at the time of its later spike, b; partners in the order they fired
            while (first > 0 && recent_step[b] - recent_step[first - 1] < pair_window_steps) --first;
            for (size_t a = first; a < b; ++a) pair(a, b);
        }
    }

    void pair(size_t a, size_t b) {  // a is listed before b: earlier, or at the same step and in an earlier layer
        const int cell_a = recent_cell[a], cell_b = recent_cell[b];
        const int layer_a = layer(cell_a), layer_b = layer(cell_b);
        if (layer_a - layer_b != 1 && layer_b - layer_a != 1) return;
        const bool causal = layer_a < layer_b;
        const int pre = causal ? cell_a : cell_b, post = causal ? cell_b : cell_a;
        const double tr = (causal ? 1.0 : -1.0) * trace_decay[recent_step[b] - recent_step[a]];
        if (layer(pre) == 1) {
            const int32_t s = (pre - N_INPUT) * N_OUTPUT + (post - N_INPUT - N_HIDDEN);
            if (!frozen[s]) hidden_output_traces.add(s, hidden_output_amplitude * tr, recent_step[b]);
        } else if (!input_hidden_frozen) {
            const int32_t s = synapse_of[static_cast<size_t>(pre) * N_HIDDEN + (post - N_INPUT)];
            if (s >= 0) input_hidden_traces.add(s, input_hidden_amplitude * tr, recent_step[b]);
        }
    }

    static int layer(int cell) { return cell < N_INPUT ? 0 : cell < N_INPUT + N_HIDDEN ? 1 : 2; }

    void forget_spikes_before(int64_t step) {
        size_t old = 0;
        while (old < recent_step.size() && recent_step[old] <= step) ++old;
        recent_step.erase(recent_step.begin(), recent_step.begin() + old);
        recent_cell.erase(recent_cell.begin(), recent_cell.begin() + old);
    }

    double forage(const int8_t* outcomes, const int64_t* output_spikes) {  // move, eat; returns the reward S
        last_move = choose_move(output_spikes, static_cast<int>(last_move), hunger, hunger_per_percent, key(DIRECTION_TIE), key(EXPLORATION));
        agent_x = world.wrap(static_cast<int>(agent_x + last_move % 3 - 1));
        agent_y = world.wrap(static_cast<int>(agent_y + last_move / 3 - 1));
        const int eaten = world.eat(static_cast<int>(agent_x), static_cast<int>(agent_y), key(NEW_PARTICLE));
        const Outcome outcome = static_cast<Outcome>(outcomes[eaten]);
        hunger = outcome == REWARDED || outcome == PUNISHED ? 0 : hunger + 1;
        record(last_move, eaten, outcome);
        return outcome == REWARDED ? reward_rewarded : outcome == PUNISHED ? reward_punished : reward_nothing;
    }

    double rest() {
        record(4, 0, NOTHING);
        return reward_asleep;
    }

    void record(int64_t move, int eaten, Outcome outcome) {
        records.move.push_back(static_cast<int8_t>(move));
        records.eaten.push_back(static_cast<int8_t>(eaten));
        records.outcome.push_back(outcome);
        records.x.push_back(static_cast<int16_t>(agent_x));
        records.y.push_back(static_cast<int16_t>(agent_y));
    }

    void change_strengths(int64_t T, double S) {
        change_hidden_output(arrays::hidden_output(), hidden_output_total.data(), INITIAL_HIDDEN_OUTPUT_TOTAL, trace_average.data(),
                             frozen.data(), frozen.size(), hidden_output_traces, T, S, scratch);
        if (!input_hidden_frozen) {
            change_input_hidden(arrays::input_hidden(), arrays::input_index(), input_output_total.data(), input_output_initial.data(),
                                N_INPUT_HIDDEN, input_hidden_traces, T);
            scale_input_hidden(arrays::input_hidden(), arrays::hidden_index(), hidden_input_target.data(), N_INPUT_HIDDEN, N_HIDDEN, scratch);
            std::fill(input_output_total.begin(), input_output_total.end(), 0.0);
            for (int s = 0; s < N_INPUT_HIDDEN; ++s) input_output_total[arrays::input_index()[s]] += arrays::input_hidden()[s];
        }
        scale_hidden_output(arrays::hidden_output(), frozen.data(), OUTPUT_INPUT_TARGET, N_HIDDEN);
        balance_outputs(arrays::hidden_output(), frozen.data(), hidden_output_total.data(), arrays::inhibition() + N_INPUT, N_HIDDEN);
    }

    void flash() {  // every input cell whose square holds food
        for (int row = 0; row < FIELD; ++row)
            for (int column = 0; column < FIELD; ++column)
                if (world.at(world.wrap(static_cast<int>(agent_x) + column - FIELD / 2), world.wrap(static_cast<int>(agent_y) + row - FIELD / 2)))
                    arrays::x()[row * FIELD + column] += flash_pulse;
    }

    // What Network::run does, object by object in the same order, but without reading the processor's clock at every step, which
    // takes a third of the time. The objects of the epoch clock run at every first step of an epoch, all others at every step.
    static void step_network(Network& network, int64_t steps) {
        std::vector<codeobj_func> at_first_step, at_other_steps;
        for (auto& object : network.objects) {
            if (!object.second) continue;
            at_first_step.push_back(object.second);
            if (object.first != &brian::epoch_clock) at_other_steps.push_back(object.second);
        }
        for (int64_t n = 0; n < steps; ++n) {
            const bool first = n % STEPS_PER_EPOCH == 0;
            for (codeobj_func function : first ? at_first_step : at_other_steps) function();
            brian::step_clock.tick();
            if (first) brian::epoch_clock.tick();
        }
    }

    void run(int64_t epochs, bool spikes, const std::string& path, Network& network) {
        records = Records();
        keep_spikes = spikes;
        first_epoch = epoch;
        Reader turns(path);
        turns.vector("block", block);
        turns.vector("begins", begins);
        records.hidden_spikes.assign(epochs, 0);
        records.output_spikes.assign(epochs, 0);
        step_network(network, epochs * STEPS_PER_EPOCH);
        collect_spikes();
        Writer writer(path);
        records.transfer(writer);
        writer.close();
    }
};

Loop& loop() {
    static Loop instance;
    return instance;
}

}  // namespace

double begin_epoch() {
    loop().begin_epoch();
    return 0.0;
}

double epoch_boundary() {
    loop().epoch_boundary();
    return 0.0;
}

int serve(Network& network) {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command, path;
        words >> command;
        try {
            if (command == "load") {
                words >> path;
                loop().load(path, network);
            } else if (command == "phase") {
                Phase& phase = loop().phase;
                words >> phase.epochs >> phase.dropout >> path;
                Reader reader(path);
                phase.read(reader);
                loop().world.offsets = phase.offsets;
                loop().world.squares = phase.squares;
            } else if (command == "run") {
                int64_t epochs = 0;
                bool spikes = false;
                words >> epochs >> spikes >> path;
                loop().run(epochs, spikes, path, network);
            } else if (command == "save") {
                words >> path;
                Writer writer(path);
                loop().transfer(writer);
                writer.close();
            }
            std::cout << "done" << std::endl;
        } catch (const std::exception& error) {
            std::cout << "error " << error.what() << std::endl;
        }
    }
    return 0;
}

}  // namespace foraging
