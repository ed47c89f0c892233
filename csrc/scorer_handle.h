// What a `fewbit_scorer*` of the C interface points to.
#pragma once

#include <memory>

#include "scorer.h"

struct fewbit_scorer {
    std::unique_ptr<fewbit::Scorer> scorer;
};
