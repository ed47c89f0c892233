// Numbers of a value as a Matrix, for products of two values of a network.
#pragma once

#include "matrix.h"
#include "values.h"

namespace fewbit {

// Holds one matrix at a time, in memory that is reused. Numbers have 1 or 2 bytes, the planes 8 bits.
class NumberMatrix {
public:
    // Number i of row r stands at r * stride + i.
    const Matrix& rows(const uint8_t* numbers, Storage, int64_t rows, int64_t columns, int64_t stride);
    // Number i of row r stands at i * stride + r.
    const Matrix& columns(const uint8_t* numbers, Storage, int64_t rows, int64_t columns, int64_t stride);

    const Matrix& matrix() const { return matrix_; }

private:
    void reshape(Storage, int64_t rows, int64_t columns);
    void move_sums(Storage);

    Matrix matrix_;
    int64_t capacity_ = 0;  // bytes of a plane
};

}  // namespace fewbit
