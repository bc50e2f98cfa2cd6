#include "linear/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace pippin {
namespace {

constexpr auto patience = std::chrono::microseconds(60);

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int processors_by_affinity() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

// "200000 100000" or "max 100000": microseconds of quota in a period.
int processors_by_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::numeric_limits<int>::max();
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

}  // namespace

int available_processors() {
  return std::max(1, std::min(processors_by_affinity(), processors_by_quota()));
}

// One call at a time is published: its fields are written before `epoch_` rises, and stay until every worker that took
// part has left. Workers take pieces from `next_`.
class ThreadPool::Workers {
 public:
  explicit Workers(int count) {
    try {
      threads_.reserve(static_cast<size_t>(count));
      for (int i = 0; i < count; ++i) threads_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {
      // The system gives no more threads: those that are there do the work.
    }
  }

  ~Workers() {
    stopping_.store(true);
    raise_epoch();
    for (std::thread& thread : threads_) thread.join();
  }

  [[nodiscard]] int count() const { return static_cast<int>(threads_.size()); }

  // Whether the pool was free to take the call.
  bool run(int64_t count, int64_t grain, RangeBody body) {
    if (busy_.exchange(true)) return false;
    count_ = count;
    grain_ = grain;
    body_ = &body;
    next_.store(0, std::memory_order_relaxed);
    open_.store(true);
    raise_epoch();
    take_pieces();
    open_.store(false);
    wait_for_workers();
    const std::exception_ptr failure = std::exchange(failure_, nullptr);
    failed_.store(false);
    busy_.store(false);
    if (failure) std::rethrow_exception(failure);
    return true;
  }

 private:
  void raise_epoch() {
    epoch_.fetch_add(1);
    if (sleeping_.load() != 0) epoch_.notify_all();
  }

  void take_pieces() {
    for (;;) {
      const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
      if (begin >= count_) return;
      try {
        (*body_)(begin, std::min(count_, begin + grain_));
      } catch (...) {
        if (!failed_.exchange(true)) failure_ = std::current_exception();
      }
    }
  }

  void wait_for_workers() {
    for (int i = 0; inside_.load() != 0; ++i) {
      if (i < 2000) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  void serve() {
    for (uint32_t seen = 0;;) {
      seen = wait_beyond(seen);
      if (stopping_.load()) return;
      // Entered before looking whether the call is still open, so that its fields are there as long as they are read.
      inside_.fetch_add(1);
      if (open_.load()) take_pieces();
      inside_.fetch_sub(1);
    }
  }

  uint32_t wait_beyond(uint32_t seen) {
    const auto until = std::chrono::steady_clock::now() + patience;
    do {
      for (int i = 0; i < 64; ++i) {
        const uint32_t now = epoch_.load();
        if (now != seen) return now;
        pause();
      }
    } while (std::chrono::steady_clock::now() < until);
    sleeping_.fetch_add(1);
    epoch_.wait(seen);
    sleeping_.fetch_sub(1);
    return epoch_.load();
  }

  std::atomic<bool> busy_{false};
  int64_t count_ = 0;
  int64_t grain_ = 1;
  const RangeBody* body_ = nullptr;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  alignas(64) std::atomic<int> inside_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // written by the one that set failed_
  std::atomic<bool> open_{false};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

ThreadPool::ThreadPool(int threads)
    : workers_(std::make_unique<Workers>((threads > 0 ? threads : available_processors()) - 1)) {}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const {
  return workers_->count() + 1;
}

void ThreadPool::parallel_for(int64_t count, int64_t grain, RangeBody body) {
  if (count <= 0) return;
  const bool is_one_piece = count <= grain;
  if (!is_one_piece && workers_->count() > 0 && workers_->run(count, grain, body)) return;
  for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(count, begin + grain));
}

}  // namespace pippin
