// What this machine can do at most: bytes read a second from each level of memory, and the rates of the inner loops
// of few-bit products. Prints one JSON object a line. `benchmarks/ceilings.py` compiles and runs it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(__AMX_INT8__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef long long Wide __attribute__((vector_size(64)));
static volatile long long sink;
static char *memory;
constexpr int ROUNDS = 9;
constexpr size_t NEAR = 16 << 10;  // bytes that stay in the first cache

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs work(thread) on pinned threads that start together; seconds of the slowest.
template <class Work> static double together(int threads, Work work) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<double> seconds(threads);
  std::vector<std::thread> pool;
  for (int i = 0; i < threads; i++)
    pool.emplace_back([&, i] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(i % std::thread::hardware_concurrency(), &set);
      pthread_setaffinity_np(pthread_self(), sizeof set, &set);
      ready++;
      while (!go) {
      }
      double start = now();
      work(i);
      seconds[i] = now() - start;
    });
  while (ready < threads) std::this_thread::yield();
  go = true;
  for (auto &each : pool) each.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

// Prints the median and the best of a few rounds of `amount` a thread, in thousand millions a second.
template <class Work>
static void rate(const std::string &what, const char *unit, size_t bytes, int threads, double amount, Work work) {
  std::vector<double> found;
  for (int round = 0; round < ROUNDS; round++) found.push_back(amount * threads / together(threads, work) / 1e9);
  std::sort(found.begin(), found.end());
  printf("{\"what\":\"%s\",\"unit\":\"%s\",\"bytes\":%zu,\"threads\":%d,\"median\":%.2f,\"best\":%.2f}\n", what.c_str(),
         unit, bytes, threads, found[found.size() / 2], found.back());
  fflush(stdout);
}

__attribute__((noinline)) static long long read_all(const char *p, size_t n) {
  Wide sum[8] = {};
  for (size_t i = 0; i + 512 <= n; i += 512)
    for (int k = 0; k < 8; k++) sum[k] |= *(const Wide *)(p + i + 64 * k);
  for (int k = 1; k < 8; k++) sum[0] |= sum[k];
  return sum[0][0] | sum[0][7];
}

static void reads(int threads) {
  std::vector<size_t> sizes;  // of all threads
  for (size_t size = 16 << 10; size <= (size_t)256 << 20; size *= 2) sizes.push_back(size), sizes.push_back(size / 2 * 3);
  for (size_t size : sizes) {
    size_t each = size / threads / 512 * 512, loops = std::max<size_t>(2, (size_t)(2e8 / each));
    rate("read", "GB/s", size, threads, (double)each * loops, [&](int i) {
      for (size_t l = 0; l < loops; l++) {
        sink = read_all(memory + i * each, each);
        asm volatile("" ::: "memory");
      }
    });
  }
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
constexpr long LOOPS = 100000;
using Sums = __m512i[8];

// Loops over weights in the first cache; `step` takes a register of packed weights.
template <class Step> static void products(const std::string &what, int threads, int bits, Step step) {
  rate(what, "GOP/s", NEAR, threads, LOOPS * 16.0 * 2 * 512 / bits, [&](int i) {
    const char *weights = memory + i * (NEAR + 4096);
    __m512i sums[8];
    for (auto &sum : sums) sum = _mm512_setzero_si512();
    for (long l = 0; l < LOOPS; l++) {
      const char *p = weights + (l & 15) * 1024;
#pragma GCC unroll 16
      for (int k = 0; k < 16; k++) step(sums, k, _mm512_load_si512(p + 64 * k));
    }
    for (int k = 1; k < 8; k++) sums[0] = _mm512_add_epi32(sums[0], sums[k]);
    sink = _mm512_reduce_add_epi32(sums[0]);
  });
}

// Packed weights to bytes in the first cache, from where tiles are loaded.
template <int bits, bool shifts> static void unpacks(int threads) {
  std::string what = "load, unpack, store " + std::to_string(bits) + " bits with " + (shifts ? "shifts" : "masks");
  rate(what, "G weights/s", NEAR, threads, LOOPS * 8.0 * 512 / bits, [&](int i) {
    char *weights = memory + i * (NEAR + 16384), *bytes = weights + NEAR;
    const __m512i low = _mm512_set1_epi8((1 << bits) - 1);
    for (long l = 0; l < LOOPS; l++) {
      const char *p = weights + (l & 15) * 512;
#pragma GCC unroll 8
      for (int k = 0; k < 8; k++) {
        const __m512i w = _mm512_load_si512(p + 64 * k);
#pragma GCC unroll 4
        for (int part = 0; part < 8 / bits; part++) {
          const __m512i mask = shifts ? low : _mm512_slli_epi16(low, bits * part);
          const __m512i moved = shifts ? _mm512_srli_epi16(w, bits * part) : w;
          _mm512_store_si512(bytes + k * (512 / bits) + 64 * part, _mm512_and_si512(moved, mask));
        }
      }
      asm volatile("" ::: "memory");
    }
  });
}

static void loops(int threads) {
  const __m512i x = _mm512_set1_epi8(1), y = _mm512_set1_epi8(2), z = _mm512_set1_epi8(3), v = _mm512_set1_epi8(4);
  const __m512i low2 = _mm512_set1_epi8(3), low4 = _mm512_set1_epi8(15);
  auto dot = [](__m512i &sum, __m512i w, __m512i a) { sum = _mm512_dpbusd_epi32(sum, w, a); };
  rate("multiply 8 bits", "GOP/s", 0, threads, LOOPS * 16.0 * 128, [&](int) {
    __m512i sums[16], w = low4, a = x;
    for (auto &sum : sums) sum = _mm512_setzero_si512();
    for (long l = 0; l < LOOPS; l++) {
      asm volatile("" : "+v"(w), "+v"(a));
#pragma GCC unroll 16
      for (int k = 0; k < 16; k++) sums[k] = _mm512_dpbusd_epi32(sums[k], w, a);
    }
    for (int k = 1; k < 16; k++) sums[0] = _mm512_add_epi32(sums[0], sums[k]);
    sink = _mm512_reduce_add_epi32(sums[0]);
  });
  products("load, multiply 8 bits", threads, 8, [&](Sums &s, int k, __m512i w) { dot(s[k & 7], w, x); });
  products("load, unpack, multiply 4 bits with shifts", threads, 4, [&](Sums &s, int k, __m512i w) {
    int j = 2 * k & 7;
    dot(s[j], _mm512_and_si512(w, low4), x);
    dot(s[j + 1], _mm512_and_si512(_mm512_srli_epi16(w, 4), low4), y);
  });
  products("load, unpack, multiply 4 bits with masks", threads, 4, [&](Sums &s, int k, __m512i w) {
    int j = 2 * k & 7;
    dot(s[j], _mm512_and_si512(w, low4), x);
    dot(s[j + 1], _mm512_andnot_si512(low4, w), y);
  });
  products("load, unpack, multiply 2 bits with shifts", threads, 2, [&](Sums &s, int k, __m512i w) {
    int j = (k & 1) * 4;
    dot(s[j], _mm512_and_si512(w, low2), x);
    dot(s[j + 1], _mm512_and_si512(_mm512_srli_epi16(w, 2), low2), y);
    dot(s[j + 2], _mm512_and_si512(_mm512_srli_epi16(w, 4), low2), z);
    dot(s[j + 3], _mm512_and_si512(_mm512_srli_epi16(w, 6), low2), v);
  });
  const __m512i mask[3] = {_mm512_set1_epi8(12), _mm512_set1_epi8(48), _mm512_set1_epi8((char)192)};
  products("load, unpack, multiply 2 bits with masks", threads, 2, [&](Sums &s, int k, __m512i w) {
    int j = (k & 1) * 4;
    dot(s[j], _mm512_and_si512(w, low2), x);
    dot(s[j + 1], _mm512_and_si512(w, mask[0]), y);
    dot(s[j + 2], _mm512_and_si512(w, mask[1]), z);
    dot(s[j + 3], _mm512_and_si512(w, mask[2]), v);
  });
  unpacks<4, true>(threads);
  unpacks<4, false>(threads);
  unpacks<2, true>(threads);
  unpacks<2, false>(threads);
}
#else
static void loops(int) {}
#endif

#if defined(__AMX_INT8__)
struct alignas(64) Tiles {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

static void tiles(int threads) {
  if (syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XTILEDATA */)) return;
  for (int frames : {1, 2, 4, 8, 16, 32, 64}) {  // a tile of 16 x 64 weights is loaded once for all frames
    int rows = std::min(frames, 16), blocks = frames / rows;
    rate("tiles, " + std::to_string(frames) + " frames", "GOP/s", NEAR, threads, LOOPS * 8.0 * frames * 16 * 64 * 2,
         [&](int i) {
           Tiles config;
           for (int t = 0; t < 8; t++) config.bytes[t] = 64, config.rows[t] = t < 5 ? rows : 16;
           asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
           const char *p = memory + i * (NEAR + 4096);
           const long stride = 64;
           _tile_zero(0);
           _tile_zero(1);
           _tile_zero(2);
           _tile_zero(3);
           _tile_loadd(4, p, stride);
           // Four sums in turn, so that none waits for itself; weights go into two registers in turn.
#define STEP(k, w, a, b, c, d)                                          \
  {                                                                     \
    _tile_loadd(w, p + 1024 * (k), stride);                             \
    _tile_dpbuud(a, 4, w);                                              \
    if (blocks > 1) { _tile_dpbuud(b, 4, w); }                          \
    if (blocks > 2) { _tile_dpbuud(c, 4, w); _tile_dpbuud(d, 4, w); }   \
  }
           for (long l = 0; l < LOOPS; l++)
             for (int k = 0; k < 8; k += 4) {
               STEP(k, 5, 0, 1, 2, 3)
               STEP(k + 1, 6, 2, 3, 0, 1)
               STEP(k + 2, 5, 1, 0, 3, 2)
               STEP(k + 3, 6, 3, 2, 1, 0)
             }
#undef STEP
           _tile_release();
         });
  }
}
#else
static void tiles(int) {}
#endif

int main(int count, char **values) {
  int most = count > 1 ? atoi(values[1]) : 1;
  size_t size = (size_t)512 << 20;
  memory = (char *)aligned_alloc(2 << 20, size);
  madvise(memory, size, MADV_HUGEPAGE);
  for (size_t i = 0; i < size; i += 64) memory[i] = (char)i;
  for (int threads = 1; threads <= most; threads++) {
    reads(threads);
    loops(threads);
    tiles(threads);
  }
}
