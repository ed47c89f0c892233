// All that a target file compiles with its instruction set, beside the products, and the list of it.
// Included in the unnamed namespace of each target file.
#include "elementwise.inl"
#include "storage.inl"
#include "pointwise.inl"
#include "norms.inl"
#include "attention.inl"
#include "places.inl"
#include "kept.inl"
#include "columns.inl"

#define FEWBIT_KERNELS(name, product, part, read, kept, gain, bits, columns)                                        \
    {name,    runs_here, product,  rescale,    sru,      qrnn,        lstm,      gru,    start,                       \
     features, largest,  quantize, dequantize, read,     part,        widen,     pack,     byte_sum, row_sums,                  \
     window_sums, split, requantize,   sum,        mul,      map,         norm,      softmax, log_softmax, magnitude,                  \
     attend,  weigh,     blend,    depthwise,  gather,   lay_lines,   kept,    turn_kept, gain,    bits,                                  \
     gather_columns, columns}
