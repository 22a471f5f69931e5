// Counter-based random numbers, the C++ twin of environments/draws.py; described in docs/conventions.md.
#ifndef FORAGING_DRAWS_H
#define FORAGING_DRAWS_H
#include <cstdint>

namespace foraging {

enum Stream : uint64_t {
    WORLD = 3,
    NEW_PARTICLE = 4,
    DIRECTION_TIE = 5,
    EXPLORATION = 6,
    SLEEP_PULSE = 10,
    SLEEP_PATTERN = 12,
};

constexpr uint64_t GOLDEN = 0x9E3779B97F4A7C15ULL;

inline uint64_t mix(uint64_t z) {  // finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

inline uint64_t stream_key(uint64_t seed, uint64_t stream, uint64_t epoch) {
    uint64_t key = mix(seed + GOLDEN);
    key = mix(key + GOLDEN * (stream + 1));
    return mix(key + GOLDEN * (epoch + 1));
}

inline double uniform(uint64_t key, uint64_t index) {  // in [0, 1)
    return static_cast<double>(mix(key + GOLDEN * (index + 1)) >> 11) * 0x1.0p-53;
}

inline int64_t integer(uint64_t key, uint64_t index, int64_t n) {  // in 0 ... n-1
    return static_cast<int64_t>(uniform(key, index) * static_cast<double>(n));
}

}  // namespace foraging
#endif
