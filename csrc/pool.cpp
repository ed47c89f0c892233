#include "pool.h"

#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fewbit {
namespace {

constexpr int kMaxThreads = 64;
constexpr int kSpins = 20000;  // some 100 microseconds until a waiting thread goes to sleep

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until value is no longer `seen`: spinning for a while, then asleep.
uint32_t wait_for_change(std::atomic<uint32_t>& value, uint32_t seen) {
    for (int spin = 0; spin < kSpins; ++spin) {
        const uint32_t now = value.load(std::memory_order_acquire);
        if (now != seen) return now;
        pause();
    }
    value.wait(seen, std::memory_order_acquire);
    return value.load(std::memory_order_acquire);
}

class Pool {
public:
    bool run(int threads, int64_t count, const std::function<void(int64_t, int64_t)>& work) {
        std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock.owns_lock() || getpid() != owner_) return false;
        while (int(workers_.size()) < threads - 1) {
            workers_.emplace_back([this, seen = turn_.load()] { serve(seen); });
            workers_.back().detach();
        }
        work_ = &work;
        count_ = count;
        left_.store(uint32_t(threads), std::memory_order_relaxed);
        claims_.store(uint64_t(threads) << 32, std::memory_order_release);
        turn_.fetch_add(1, std::memory_order_release);
        turn_.notify_all();
        help();
        for (uint32_t left; (left = left_.load(std::memory_order_acquire)) != 0;) wait_for_change(left_, left);
        return true;
    }

private:
    // Does parts as long as nobody has claimed them. The caller does what a thread that is late does not come to, and waits
    // for none that has not begun.
    void help() {
        uint64_t claims = claims_.load(std::memory_order_acquire);
        for (;;) {
            const auto next = int64_t(claims & 0xffffffff), parts = int64_t(claims >> 32);
            if (next >= parts) return;
            if (!claims_.compare_exchange_weak(claims, claims + 1, std::memory_order_acq_rel, std::memory_order_acquire))
                continue;
            // The claim is one of the work at hand, even if `claims` was read before it began.
            const int64_t first = count_ * next / parts, last = count_ * (next + 1) / parts;
            if (first < last) (*work_)(first, last);
            if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_all();
            claims = claims_.load(std::memory_order_acquire);
        }
    }

    void serve(uint32_t seen) {
        for (;;) {
            seen = wait_for_change(turn_, seen);
            help();
        }
    }

    const pid_t owner_ = getpid();
    std::mutex mutex_;
    std::vector<std::thread> workers_;
    const std::function<void(int64_t, int64_t)>* work_ = nullptr;
    int64_t count_ = 0;
    std::atomic<uint32_t> turn_{0}, left_{0};  // left_: parts that are not done
    std::atomic<uint64_t> claims_{0};          // the number of parts, and below it how many are claimed
};

// Never taken down: its threads are asleep when the process ends.
Pool& pool() {
    static Pool* const only = new Pool;
    return *only;
}

}  // namespace

void share(int threads, int64_t count, const std::function<void(int64_t, int64_t)>& work) {
    if (threads > kMaxThreads) threads = kMaxThreads;
    if (threads > count) threads = int(count);
    if (threads < 2 || !pool().run(threads, count, work)) work(0, count);
}

}  // namespace fewbit
