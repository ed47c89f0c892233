// x86 with AMX tiles of bytes, for blocks of frames; single frames go the way of AVX-512.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels.h"

namespace fewbit {
namespace {

#include "unrolled.inl"
#include "avx512.inl"
#include "product.inl"
#include "elementwise.inl"

// Fewer frames are faster without tiles: of whole bytes, and of fields that must be spread first.
constexpr int64_t kFewestFrames = 3, kFewestSpread = 5;
constexpr int kTileColumns = 64;           // bytes of a row of a tile
constexpr int kTileRows = 16;              // frames of a tile, and lines of weights
constexpr int64_t kDepth = 512;  // columns unpacked at a time: four panels of them stay in the first cache
constexpr int64_t kApart = kDepth * kPanelRows + 17 * 64;
alignas(64) thread_local uint8_t unpacked[kStripPanels * kApart];

struct alignas(64) TileShapes {
    uint8_t palette = 1, start = 0, unused[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
};

// Tiles 0..3 sums (frames x 16 rows of weights), 4 and 5 activations (frames x 64), 6 and 7 weights (16 lines). Tiles
// 2, 3 and 5 have `lower` frames, the others `upper`.
void shape_tiles(int upper, int lower) {
    TileShapes shapes;
    for (int tile = 0; tile < 8; ++tile) {
        shapes.bytes[tile] = kTileColumns;
        const bool is_lower = tile == 2 || tile == 3 || tile == 5;
        shapes.rows[tile] = uint8_t(tile >= 6 ? kTileRows : is_lower ? lower : upper);
    }
    // Some compilers do not see that the instruction reads all of it, and leave stores out.
    asm volatile("" : : "m"(shapes) : "memory");
    _tile_loadconfig(&shapes);
}

template <int kBits>
inline void spread(const uint8_t* line, int shift, uint8_t* out) {
    const __m512i v = _mm512_load_si512(line);
    unrolled<8 / kBits>([&](auto f) {
        __m512i u = Avx512::field<kBits, f>(v);
        auto* at = reinterpret_cast<__m512i*>(out + f * kLineBytes);
        if (shift > 0) u = _mm512_or_si512(_mm512_slli_epi16(u, unsigned(shift)), _mm512_load_si512(at));
        _mm512_store_si512(at, u);
    });
}

// Columns of a strip as whole bytes, panel after panel: line i of a panel holds columns 4 i .. 4 i + 3 of its rows. The
// strip is read from front to back, which the caches like best.
template <int kBits>
void spread_strip(const Strip& strip, int64_t column, int64_t columns, int shift, uint8_t* out) {
    constexpr int64_t kPerBlock = 32 / kBits;
    const uint8_t* line = strip.lines + column / kPerBlock * strip.step;
    for (int64_t k = 0; k < columns; k += kPerBlock)
        for (int p = 0; p < strip.panels; ++p, line += kLineBytes)
            spread<kBits>(line, shift, out + p * kApart + k * kPanelRows);
}

void load_sums(const Product& job, int64_t frame, int64_t row, int panels, bool lower) {
    const int64_t bytes = job.y_stride * 4;
    const int32_t* y = job.y + frame * job.y_stride + row;
    _tile_loadd(0, y, bytes);
    if (panels > 1) _tile_loadd(1, y + kPanelRows, bytes);
    if (!lower) return;
    y += kTileRows * job.y_stride;
    _tile_loadd(2, y, bytes);
    if (panels > 1) _tile_loadd(3, y + kPanelRows, bytes);
}

void store_sums(const Product& job, int64_t frame, int64_t row, int panels, bool lower) {
    const int64_t bytes = job.y_stride * 4;
    int32_t* y = job.y + frame * job.y_stride + row;
    _tile_stored(0, y, bytes);
    if (panels > 1) _tile_stored(1, y + kPanelRows, bytes);
    if (!lower) return;
    y += kTileRows * job.y_stride;
    _tile_stored(2, y, bytes);
    if (panels > 1) _tile_stored(3, y + kPanelRows, bytes);
}

// Up to 32 frames with one or two panels; weights are lines `step` bytes apart, `apart` bytes from panel to panel.
void multiply_tiles(const Product& job, int64_t frame, int64_t column, int64_t columns, int64_t row,
                    const uint8_t* weights, int64_t step, int64_t apart, int panels, bool lower) {
    load_sums(job, frame, row, panels, lower);
    const int8_t* x = job.x + frame * job.x_stride + column;
    const int8_t* below = x + kTileRows * job.x_stride;
    for (int64_t k = 0; k < columns; k += kTileColumns) {
        const uint8_t* lines = weights + k / 4 * step;
        _tile_loadd(6, lines, step);
        _tile_loadd(4, x + k, job.x_stride);
        _tile_dpbsud(0, 4, 6);
        if (panels > 1) {
            _tile_loadd(7, lines + apart, step);
            _tile_dpbsud(1, 4, 7);
        }
        if (lower) {
            _tile_loadd(5, below + k, job.x_stride);
            _tile_dpbsud(2, 5, 6);
            if (panels > 1) _tile_dpbsud(3, 5, 7);
        }
    }
    store_sums(job, frame, row, panels, lower);
}

// All frames with the weights of a strip, `columns` of them.
void multiply_strip(const Product& job, int64_t column, int64_t columns, int64_t row, int panels,
                    const uint8_t* weights, int64_t step, int64_t apart) {
    int upper = 0, lower = 0;
    for (int64_t t = 0; t < job.frames; t += 2 * kTileRows) {
        const int64_t left = job.frames - t;
        const int now = int(left < kTileRows ? left : kTileRows);
        const int rest = int(left - now < kTileRows ? left - now : kTileRows);
        if (now != upper || rest != lower) shape_tiles(upper = now, lower = rest > 0 ? rest : 1);
        lower = rest;
        for (int p = 0; p < panels; p += 2)
            multiply_tiles(job, t, column, columns, row + p * kPanelRows, weights + p * apart, step, apart,
                           panels - p > 1 ? 2 : 1, rest > 0);
    }
}

// Columns of all planes as whole bytes, into `unpacked`.
int spread_planes(const Product& job, int64_t strip_index, int64_t column, int64_t columns, uint8_t* out) {
    int panels = 0;
    for (const Plane& plane : job.matrix->planes) {
        const Strip strip = strip_of(plane, job.matrix->panels(), strip_index);
        panels = strip.panels;
        switch (plane.bits) {
            case 4: spread_strip<4>(strip, column, columns, plane.shift, out); break;
            case 2: spread_strip<2>(strip, column, columns, plane.shift, out); break;
            default: spread_strip<1>(strip, column, columns, plane.shift, out); break;
        }
    }
    return panels;
}

template <int kPanels>
void multiply_column_tile(const int8_t* x, int64_t x_stride, const uint8_t* weights) {
    _tile_loadd(4, x, x_stride);
    _tile_loadd(6, weights, kLineBytes);
    _tile_dpbsud(0, 4, 6);
    if constexpr (kPanels > 1) {
        _tile_loadd(7, weights + kApart, kLineBytes);
        _tile_dpbsud(1, 4, 7);
    }
    if constexpr (kPanels > 2) {
        _tile_loadd(6, weights + 2 * kApart, kLineBytes);
        _tile_dpbsud(2, 4, 6);
    }
    if constexpr (kPanels > 3) {
        _tile_loadd(7, weights + 3 * kApart, kLineBytes);
        _tile_dpbsud(3, 4, 7);
    }
}

// Up to 16 frames: the weights of the next 64 columns are unpacked while the tiles of the last ones are multiplied.
template <int kPanels>
void few_frames(const Product& job, int64_t strip) {
    const int64_t row = strip * kStripPanels * kPanelRows, bytes = job.y_stride * 4;
    const int64_t start = job.segment->start, padded = job.segment->padded;
    int32_t* y = job.y + row;
    _tile_loadd(0, y, bytes);
    if constexpr (kPanels > 1) _tile_loadd(1, y + kPanelRows, bytes);
    if constexpr (kPanels > 2) _tile_loadd(2, y + 2 * kPanelRows, bytes);
    if constexpr (kPanels > 3) _tile_loadd(3, y + 3 * kPanelRows, bytes);
    constexpr int64_t kTurn = kTileColumns * kPanelRows;  // bytes of a panel in one turn
    for (int64_t k = 0; k < padded; k += kTileColumns) {
        spread_planes(job, strip, start + k, kTileColumns, unpacked + (k / kTileColumns & 3) * kTurn);
        if (k > 0)
            multiply_column_tile<kPanels>(job.x + k - kTileColumns, job.x_stride,
                                          unpacked + ((k / kTileColumns - 1) & 3) * kTurn);
    }
    multiply_column_tile<kPanels>(job.x + padded - kTileColumns, job.x_stride,
                                  unpacked + ((padded / kTileColumns - 1) & 3) * kTurn);
    _tile_stored(0, y, bytes);
    if constexpr (kPanels > 1) _tile_stored(1, y + kPanelRows, bytes);
    if constexpr (kPanels > 2) _tile_stored(2, y + 2 * kPanelRows, bytes);
    if constexpr (kPanels > 3) _tile_stored(3, y + 3 * kPanelRows, bytes);
}

void many_frames(const Product& job, int64_t strip) {
    const int64_t row = strip * kStripPanels * kPanelRows;
    const int64_t start = job.segment->start, padded = job.segment->padded;
    if (job.matrix->planes.front().bits == 8) {
        const Strip lines = strip_of(job.matrix->planes.front(), job.matrix->panels(), strip);
        multiply_strip(job, 0, padded, row, lines.panels, lines.lines + start / 4 * lines.step, lines.step, kLineBytes);
        return;
    }
    for (int64_t k = 0; k < padded; k += kDepth) {
        const int64_t columns = padded - k < kDepth ? padded - k : kDepth;
        const int panels = spread_planes(job, strip, start + k, columns, unpacked);
        multiply_strip(job, k, columns, row, panels, unpacked, kLineBytes, kApart);
    }
}

void tiled_product(const Product& job) {
    const bool bytes = job.matrix->planes.front().bits == 8, few = !bytes && job.frames <= kTileRows;
    if (job.frames < (bytes ? kFewestFrames : kFewestSpread)) return product<Avx512>(job);
    if (few) shape_tiles(int(job.frames), int(job.frames));
    for (int64_t strip = job.first; strip < job.last; ++strip) {
        const int64_t panels = job.matrix->panels() - strip * kStripPanels;
        if (!few)
            many_frames(job, strip);
        else if (panels >= 4)
            few_frames<4>(job, strip);
        else if (panels == 3)
            few_frames<3>(job, strip);
        else if (panels == 2)
            few_frames<2>(job, strip);
        else
            few_frames<1>(job, strip);
    }
    _tile_release();
}

bool runs_here() {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 1) == 0 || (d >> 25 & 1) == 0) return false;
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512dq")) return false;
    constexpr int kRequestPermission = 0x1023, kTileData = 18;  // Linux: ARCH_REQ_XCOMP_PERM
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

extern const Kernels amx_kernels;
const Kernels amx_kernels FEWBIT_KERNELS("amx", tiled_product);

}  // namespace fewbit
