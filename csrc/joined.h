// Neighbouring places of a convolution as one place: few maps do not fill a panel of rows, those of some neighbours do.
#pragma once

#include "patches.h"

namespace fewbit {

// How many neighbours in a row of places take the fewest lines as one, if windows lie in runs of bytes; 1: each by itself.
int64_t neighbours_together(const ConvShape&);

// The shape with `count` neighbours as one place, whose rows are the maps of the first, of the second and so on, and whose
// kernel covers the windows of all. What goes in and what comes out stay the same. `count` divides the places of a row.
ConvShape joined(const ConvShape&, int64_t count);

// Its weights.
std::shared_ptr<const Matrix> joined(const ConvShape&, const Matrix& weight, int64_t count);

// What belongs to a row, for all rows of such a place.
std::vector<int32_t> joined(const std::vector<int32_t>&, int64_t count);

}  // namespace fewbit
