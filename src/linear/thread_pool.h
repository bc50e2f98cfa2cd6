// Threads that stand ready for short pieces of work.
//
// A model's layer takes microseconds, so that waking a sleeping thread would cost as much as the work: the workers look
// for the next call for a moment before they sleep.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace pippin {

// Processors that this process may use: by its affinity and, on Linux, its cgroup's quota. At least 1.
int available_processors();

// A reference to a callable, valid for the call it is passed to.
class RangeBody {
 public:
  template <typename Call>
  requires(!std::is_same_v<std::remove_cvref_t<Call>, RangeBody>)
      RangeBody(const Call& call)  // NOLINT: implicit, so that a lambda can be passed
      : object_(&call),
        call_([](const void* object, int64_t begin, int64_t end) { (*static_cast<const Call*>(object))(begin, end); }) {
  }
  void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int64_t);
};

class ThreadPool {
 public:
  // `threads` counts the calling thread; 0: available_processors(). Fewer where the system gives no more.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const;

  // Calls body(begin, end) for [0, grain), [grain, 2 grain) ... up to count, each once, on any of the threads, the
  // caller's among them; returns when all are done. The pieces are the same whatever the number of threads, so that a
  // body whose pieces are independent gives the same bits on 1 thread and on 64. grain must be positive. What a body
  // throws is thrown here, and some pieces may be left out then. May be called from several threads, and from a body:
  // the pool serves one call at a time, the others run on their own thread alone.
  void parallel_for(int64_t count, int64_t grain, RangeBody body);

 private:
  class Workers;
  std::unique_ptr<Workers> workers_;
};

}  // namespace pippin
