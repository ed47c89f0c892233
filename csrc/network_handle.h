// What a `fewbit_network*` of the C interface points to.
#pragma once

#include "network.h"

struct fewbit_network {
    template <class... Arguments>
    explicit fewbit_network(const Arguments&... arguments) : network(arguments...) {}
    fewbit::Network network;
};
