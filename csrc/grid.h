// Windows over the places of a frame, see fewbit.program.ops.Grid.
#pragma once

#include <cstdint>

#include "guard.h"
#include "values.h"

namespace fewbit {

struct Grid {
    int64_t height = 1, width = 1, kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1;
    int64_t dilation_height = 1, dilation_width = 1, top = 0, bottom = 0, left = 0, right = 0;

    int64_t places() const { return height * width; }
    int64_t kernel() const { return kernel_height * kernel_width; }
    int64_t reach_height() const { return (kernel_height - 1) * dilation_height + 1; }
    int64_t reach_width() const { return (kernel_width - 1) * dilation_width + 1; }
    int64_t out_height() const { return (height + top + bottom - reach_height()) / stride_height + 1; }
    int64_t out_width() const { return (width + left + right - reach_width()) / stride_width + 1; }
    int64_t out_places() const { return out_height() * out_width(); }
    // Whether window i is place i.
    bool plain() const {
        return kernel() == 1 && stride_height == 1 && stride_width == 1 && top + bottom + left + right == 0;
    }

    void check() const {
        demand(places() <= kMaxFrameSize && kernel() <= kMaxFrameSize, "'grid' has more than 2**24 places");
        demand(reach_height() <= height + top + bottom && reach_width() <= width + left + right,
               "the kernel of 'grid' is larger than its frame");
        demand(top < reach_height() && bottom < reach_height() && left < reach_width() && right < reach_width(),
               "the padding of 'grid' is larger than its kernel");
        demand(out_height() * out_width() <= kMaxFrameSize, "'grid' has more than 2**24 windows");
    }
};

// Calls each(k, place) for every place of the kernel of a window, row by row; place is -1 outside of the frame.
template <class Each>
void each_place(const Grid& grid, int64_t window, const Each& each) {
    const int64_t row = window / grid.out_width() * grid.stride_height - grid.top;
    const int64_t column = window % grid.out_width() * grid.stride_width - grid.left;
    int64_t k = 0;
    for (int64_t i = 0; i < grid.kernel_height; ++i) {
        const int64_t h = row + i * grid.dilation_height;
        for (int64_t j = 0; j < grid.kernel_width; ++j, ++k) {
            const int64_t w = column + j * grid.dilation_width;
            const bool inside = h >= 0 && h < grid.height && w >= 0 && w < grid.width;
            each(k, inside ? h * grid.width + w : -1);
        }
    }
}

}  // namespace fewbit
