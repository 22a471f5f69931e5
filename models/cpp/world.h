// The grid world and the policy, the C++ twin of environments/world.py (a test walks both on the same draws).
#ifndef FORAGING_WORLD_H
#define FORAGING_WORLD_H
#include <algorithm>
#include <cstdint>
#include <vector>
#include "draws.h"

namespace foraging {

constexpr int64_t MAX_ATTEMPTS = 100000;  // as in environments/world.py

struct GridWorld {
    int size;
    std::vector<int8_t> grid;      // [y * size + x]: type of the particle
    std::vector<int8_t> part;      // which of its squares
    std::vector<int64_t> offsets;  // of the squares of a particle, by type: dx, dy, dx, dy, ...
    std::vector<int64_t> squares;  // how many they are

    explicit GridWorld(int size) : size(size), grid(static_cast<size_t>(size) * size, 0), part(grid) {}

    size_t index(int x, int y) const { return static_cast<size_t>(y) * size + x; }
    int8_t& at(int x, int y) { return grid[index(x, y)]; }
    const int64_t* offset(int type, int64_t k) const {
        return offsets.data() + 2 * (type * static_cast<int64_t>(offsets.size() / 2 / squares.size()) + k);
    }
    bool inside(int x, int y) const { return x >= 0 && x < size && y >= 0 && y < size; }

    bool empty_around(int x, int y) {  // the square and its neighbours, inside the grid
        for (int b = y - 1; b <= y + 1; ++b)
            for (int a = x - 1; a <= x + 1; ++a)
                if (inside(a, b) && at(a, b) != 0) return false;
        return true;
    }

    bool has_room(int type, int x, int y) {  // with its first square at (x, y)
        for (int64_t k = 0; k < squares[type]; ++k) {
            const int a = x + static_cast<int>(offset(type, k)[0]), b = y + static_cast<int>(offset(type, k)[1]);
            if (!inside(a, b) || !empty_around(a, b)) return false;
        }
        return true;
    }

    int64_t place(int type, uint64_t key, int64_t attempt) {  // next attempt number, or -1: no place found
        for (int64_t last = attempt + MAX_ATTEMPTS; attempt < last; ++attempt) {
            const int x = static_cast<int>(integer(key, 2 * attempt, size));
            const int y = static_cast<int>(integer(key, 2 * attempt + 1, size));
            if (!has_room(type, x, y)) continue;
            for (int64_t k = 0; k < squares[type]; ++k) {
                const size_t square = index(x + static_cast<int>(offset(type, k)[0]), y + static_cast<int>(offset(type, k)[1]));
                grid[square] = static_cast<int8_t>(type);
                part[square] = static_cast<int8_t>(k);
            }
            return attempt + 1;
        }
        return -1;
    }

    // fills the world with `per_type` particles of each type whose `present` is true; false: one found no place
    bool draw(const int8_t* present, int64_t n_present, int64_t per_type, uint64_t key) {
        std::fill(grid.begin(), grid.end(), 0);
        std::fill(part.begin(), part.end(), 0);
        int64_t attempt = 0;
        for (int type = 1; type < n_present; ++type)
            for (int64_t k = 0; present[type] && k < per_type; ++k)
                if ((attempt = place(type, key, attempt)) < 0) return false;
        return true;
    }

    int remove(int x, int y) {  // type of the particle whose squares are emptied
        const int type = at(x, y);
        const int64_t* const here = offset(type, part[index(x, y)]);
        for (int64_t k = 0; k < squares[type]; ++k) {
            const int a = x + static_cast<int>(offset(type, k)[0] - here[0]), b = y + static_cast<int>(offset(type, k)[1] - here[1]);
            if (inside(a, b)) grid[index(a, b)] = part[index(a, b)] = 0;
        }
        return type;
    }

    // type eaten at (x, y), 0 for none; replaced by a new one of its type, for which the place just emptied is always free
    int eat(int x, int y, uint64_t key) {
        if (at(x, y) == 0) return 0;
        const int type = remove(x, y);
        for (int64_t attempt = 0; place(type, key, attempt) < 0; attempt += MAX_ATTEMPTS) {}
        return type;
    }

    int wrap(int coordinate) const { return (coordinate % size + size) % size; }
};

// Direction with most spikes, ties at random, none: the last one; then hunger-driven exploration.
inline int choose_move(const int64_t* counts, int last_move, int64_t hunger, int64_t hunger_per_percent, uint64_t tie_key,
                       uint64_t exploration_key) {
    int move = last_move;
    int64_t most = 0;
    int winners[8], n = 0;
    for (int o = 0; o < 8; ++o) {
        if (counts[o] > most) {
            most = counts[o];
            n = 0;
        }
        if (counts[o] == most) winners[n++] = o;
    }
    if (most > 0) {
        const int o = winners[n > 1 ? integer(tie_key, 0, n) : 0];
        move = o < 4 ? o : o + 1;
    }
    if (uniform(exploration_key, 0) < static_cast<double>(hunger / hunger_per_percent) / 100.0)
        move = static_cast<int>(integer(exploration_key, 1, 9));
    return move;
}

}  // namespace foraging
#endif
