// x86 with AMX tiles of bytes, for blocks of frames; single frames use AVX-512.
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
#include "parts.inl"
#include "target.inl"

// Fewer frames are faster without tiles: of whole bytes, and of fields that must be spread first.
constexpr int64_t kFewestFrames = 3, kFewestSpread = 5;
constexpr int kTileColumns = 64;      // bytes of a row of a tile
constexpr int kTileRows = 16;         // frames of a tile, and lines of weights
constexpr int64_t kDepth = 512;       // columns whose weights, of four panels, stay in the first cache
constexpr int64_t kApart = kDepth * kPanelRows + 17 * 64;  // from panel to panel, not at the same place of a page
alignas(64) thread_local uint8_t unpacked[kStripPanels * kApart];

struct alignas(64) TileShapes {
    uint8_t palette = 1, start = 0, unused[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
};

// Tiles 0..3 sums (frames x 16 rows of weights), 4 activations (frames x 64), 6 and 7 weights (16 lines).
void shape_tiles(int64_t frames) {
    TileShapes shapes;
    for (int tile = 0; tile < 8; ++tile) {
        shapes.bytes[tile] = kTileColumns;
        shapes.rows[tile] = uint8_t(tile >= 6 ? kTileRows : frames);
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

// Columns of all planes as whole bytes.
void spread_planes(const Product& job, int64_t strip_index, int64_t column, int64_t columns, uint8_t* out) {
    for (const Plane& plane : job.matrix->planes) {
        const Strip strip = strip_of(plane, job.matrix->panels(), strip_index);
        switch (plane.bits) {
            case 4: spread_strip<4>(strip, column, columns, plane.shift, out); break;
            case 2: spread_strip<2>(strip, column, columns, plane.shift, out); break;
            default: spread_strip<1>(strip, column, columns, plane.shift, out); break;
        }
    }
}

// Weights of four panels as bytes: lines `step` bytes apart, panels `apart`.
struct Bytes {
    const uint8_t* lines;
    int64_t step, apart;
};

template <int kPanels>
void load_sums(const int32_t* y, int64_t bytes) {
    _tile_loadd(0, y, bytes);
    if constexpr (kPanels > 1) _tile_loadd(1, y + kPanelRows, bytes);
    if constexpr (kPanels > 2) _tile_loadd(2, y + 2 * kPanelRows, bytes);
    if constexpr (kPanels > 3) _tile_loadd(3, y + 3 * kPanelRows, bytes);
}

template <int kPanels>
void store_sums(int32_t* y, int64_t bytes) {
    _tile_stored(0, y, bytes);
    if constexpr (kPanels > 1) _tile_stored(1, y + kPanelRows, bytes);
    if constexpr (kPanels > 2) _tile_stored(2, y + 2 * kPanelRows, bytes);
    if constexpr (kPanels > 3) _tile_stored(3, y + 3 * kPanelRows, bytes);
}

// 64 columns.
template <int kPanels>
inline void multiply_tiles(const int8_t* x, int64_t x_stride, const Bytes& weights) {
    const uint8_t* lines = weights.lines;
    _tile_loadd(4, x, x_stride);
    _tile_loadd(6, lines, weights.step);
    _tile_dpbsud(0, 4, 6);
    if constexpr (kPanels > 1) {
        _tile_loadd(7, lines + weights.apart, weights.step);
        _tile_dpbsud(1, 4, 7);
    }
    if constexpr (kPanels > 2) {
        _tile_loadd(6, lines + 2 * weights.apart, weights.step);
        _tile_dpbsud(2, 4, 6);
    }
    if constexpr (kPanels > 3) {
        _tile_loadd(7, lines + 3 * weights.apart, weights.step);
        _tile_dpbsud(3, 4, 7);
    }
}

// The first up to 16 frames with columns first..last of a strip. The weights of the next 64 columns are spread while the
// tiles of the last ones are multiplied; column k goes to place k - origin, modulo `ring`.
template <int kPanels>
void spread_and_multiply(const Product& job, int64_t strip, int64_t first, int64_t last, int64_t origin, int64_t ring) {
    const int64_t start = job.segment->start;
    const auto place = [&](int64_t k) { return unpacked + (k - origin) % ring * kPanelRows; };
    for (int64_t k = first; k < last; k += kTileColumns) {
        spread_planes(job, strip, start + k, kTileColumns, place(k));
        if (k > first)
            multiply_tiles<kPanels>(job.x + k - kTileColumns, job.x_stride,
                                    {place(k - kTileColumns), kLineBytes, kApart});
    }
    multiply_tiles<kPanels>(job.x + last - kTileColumns, job.x_stride,
                            {place(last - kTileColumns), kLineBytes, kApart});
}

template <int kPanels>
void multiply_strip(const Product& job, int64_t strip, bool bytes) {
    const int64_t y_bytes = job.y_stride * 4, padded = job.segment->padded;
    int32_t* y = job.y + strip * kStripPanels * kPanelRows;
    if (job.frames <= kTileRows && !bytes) {
        load_sums<kPanels>(y, y_bytes);
        spread_and_multiply<kPanels>(job, strip, 0, padded, 0, 4 * kTileColumns);
        store_sums<kPanels>(y, y_bytes);
        return;
    }
    const Strip lines = strip_of(job.matrix->planes.front(), job.matrix->panels(), strip);
    const int64_t rest = job.frames % kTileRows;
    for (int64_t k = 0; k < padded; k += kDepth) {
        const int64_t end = padded - k < kDepth ? padded : k + kDepth;
        for (int64_t t = 0; t < job.frames; t += kTileRows) {
            const bool last = job.frames - t < kTileRows;
            if (last) shape_tiles(rest);
            int32_t* sums = y + t * job.y_stride;
            load_sums<kPanels>(sums, y_bytes);
            if (t == 0 && !bytes)
                spread_and_multiply<kPanels>(job, strip, k, end, k, kDepth);
            else
                for (int64_t i = k; i < end; i += kTileColumns) {
                    const uint8_t* from = bytes ? lines.lines + (job.segment->start + i) / 4 * lines.step
                                                : unpacked + (i - k) * kPanelRows;
                    multiply_tiles<kPanels>(job.x + t * job.x_stride + i, job.x_stride,
                                            {from, bytes ? lines.step : kLineBytes, bytes ? kLineBytes : kApart});
                }
            store_sums<kPanels>(sums, y_bytes);
            if (last) shape_tiles(kTileRows);
        }
    }
}

// All strips, for whole tiles of columns of one plane of bytes, or of several of narrower fields.
void multiply_strips(const Product& job, bool bytes) {
    shape_tiles(job.frames < kTileRows ? job.frames : kTileRows);
    for (int64_t strip = job.first; strip < job.last; ++strip) {
        const int64_t panels = job.matrix->panels() - strip * kStripPanels;
        if (panels >= 4)
            multiply_strip<4>(job, strip, bytes);
        else if (panels == 3)
            multiply_strip<3>(job, strip, bytes);
        else if (panels == 2)
            multiply_strip<2>(job, strip, bytes);
        else
            multiply_strip<1>(job, strip, bytes);
    }
    _tile_release();
}

// Columns `skipped` .. `skipped` + `columns` of a product.
Product some_columns(const Product& job, Segment& segment, int64_t skipped, int64_t columns) {
    segment = *job.segment;
    segment.start += skipped;
    segment.padded = columns;
    Product some = job;
    some.segment = &segment;
    some.fresh = false;
    some.x += skipped;
    return some;
}

// Tiles add to what is there.
void fill_zeros(const Product& job) {
    const int64_t row = job.first * kStripPanels * kPanelRows;
    const int64_t end = std::min(job.matrix->padded_rows(), job.last * kStripPanels * kPanelRows);
    for (int64_t t = 0; t < job.frames; ++t)
        __builtin_memset(job.y + t * job.y_stride + row, 0, size_t(end - row) * sizeof(int32_t));
}

// Whether tiles multiply so many frames.
bool uses_tiles(const Matrix& matrix, int64_t frames) {
    if (matrix.in_pairs()) return false;
    const bool bytes = matrix.planes.front().bits == 8;
    return !(bytes && matrix.planes.size() > 1) && frames >= (bytes ? kFewestFrames : kFewestSpread);
}

void tiled_product(const Product& job) {
    if (job.matrix->in_pairs()) return product<Avx512>(job);
    const bool bytes = job.matrix->planes.front().bits == 8;
    const int64_t tiled = job.segment->padded / kTileColumns * kTileColumns, rest = job.segment->padded - tiled;
    const bool is_signed = job.matrix->planes.front().is_signed;  // convolutions, most of several runs
    if (job.runs.count != 1 || is_signed || tiled == 0 || !uses_tiles(*job.matrix, job.frames)) return product<Avx512>(job);
    Segment segment;
    if (job.fresh) fill_zeros(job);
    multiply_strips(some_columns(job, segment, 0, tiled), bytes);
    if (rest > 0) product<Avx512>(some_columns(job, segment, tiled, rest));
}

// Tiles of weights with each tile of frames, from registers; see parts.inl.
void tiled_part(const PartOfProduct& job) {
    if (job.part != Part::multiply || !uses_tiles(*job.matrix, job.frames)) return product_part<Avx512>(job);
    const int64_t most = job.matrix->panels(), last = job.last * kStripPanels < most ? job.last * kStripPanels : most;
    const int64_t tiles = (last - job.first * kStripPanels) * (job.matrix->padded_columns() / kTileColumns);
    for (int64_t t = 0; t < job.frames; t += kTileRows) {
        shape_tiles(job.frames - t < kTileRows ? job.frames - t : kTileRows);
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        _tile_zero(4);
        _tile_zero(6);
        for (int64_t i = 0; i + 4 <= tiles; i += 4) {
            _tile_dpbsud(0, 4, 6);
            _tile_dpbsud(1, 4, 6);
            _tile_dpbsud(2, 4, 6);
            _tile_dpbsud(3, 4, 6);
        }
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
const Kernels amx_kernels FEWBIT_KERNELS("amx", tiled_product, tiled_part, read_lines<Avx512>, kept_product<Avx512>, 0.5, 0.5, kUnknownColumns);

}  // namespace fewbit
