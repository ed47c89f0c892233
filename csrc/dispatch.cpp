// Which instruction set runs.
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace fewbit {

int32_t tanh_table[kTanhPoints], fine_table[kTanhPoints + 1], exp_table[kExpPoints], sine_table[kSinePoints];

ExpFactors exp_factors;

void find_exp_factors() {
    for (int i = 0; i < 32; ++i) {
        exp_factors.coarse[i] = uint32_t(std::llrint(std::exp2(-i / 32.0) * 32767 * (1 << 17)));
        exp_factors.fine[i] = uint32_t(std::llrint(std::exp2(-i / 1024.0) * (uint32_t(1) << 31)));
    }
    exp_factors.exact = true;
    for (int i = 0; i < kExpPoints; ++i) {
        const uint64_t product = uint64_t(exp_factors.coarse[i / 32]) * exp_factors.fine[i % 32];
        exp_factors.exact &= int32_t((product + (uint64_t(1) << 47)) >> 48) == exp_table[i];
    }
}

extern const Kernels scalar_kernels;
#if defined(FEWBIT_X86)
extern const Kernels avx2_kernels, avxvnni_kernels, avx512_kernels;
#if defined(FEWBIT_AMX)
extern const Kernels amx_kernels;
#endif
#elif defined(FEWBIT_ARM)
extern const Kernels neon_kernels, dotprod_kernels;
#endif

const std::vector<const Kernels*>& all_kernels() {
    static const std::vector<const Kernels*> kernels{
#if defined(FEWBIT_X86)
#if defined(FEWBIT_AMX)
        &amx_kernels,
#endif
        &avx512_kernels,  &avxvnni_kernels, &avx2_kernels,
#elif defined(FEWBIT_ARM)
        &dotprod_kernels, &neon_kernels,
#endif
        &scalar_kernels,
    };
    return kernels;
}

namespace {

// Asking a processor what it can takes microseconds, and more under a hypervisor: once is enough.
const std::vector<const Kernels*>& kernels_here() {
    static const std::vector<const Kernels*> here = [] {
        std::vector<const Kernels*> found;
        for (const Kernels* kernels : all_kernels())
            if (kernels->runs_here()) found.push_back(kernels);
        return found;
    }();
    return here;
}

}  // namespace

const std::string& target_names() {
    static const std::string names = [] {
        std::string text;
        for (const Kernels* kernels : kernels_here()) text += std::string(text.empty() ? "" : " ") + kernels->name;
        return text;
    }();
    return names;
}

const Kernels& find_kernels(const char* name) {
    for (const Kernels* kernels : kernels_here())
        if (name == nullptr || *name == '\0' || std::strcmp(name, kernels->name) == 0) return *kernels;
    throw std::invalid_argument("the target '" + std::string(name) + "' is not available here; available: " +
                                target_names());
}

}  // namespace fewbit
