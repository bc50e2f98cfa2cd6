#include "linear/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

namespace pippin {
namespace {

using ::testing::Each;

TEST(ThreadPool, EveryPieceOnceWhateverTheThreads) {
  for (const int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::vector<int> visits(1001);
    pool.parallel_for(1001, 10, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin % 10, 0);
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    EXPECT_THAT(visits, Each(1));
  }
}

TEST(ThreadPool, ManyCallsSomeAfterASleep) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  for (int call = 0; call < 2000; ++call) {
    if (call % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    pool.parallel_for(8, 1, [&](int64_t begin, int64_t) { sum += begin; });
  }
  EXPECT_EQ(sum, 2000 * 28);
}

TEST(ThreadPool, CallsFromSeveralThreadsAndFromWithin) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int call = 0; call < 100; ++call) {
        pool.parallel_for(4, 1, [&](int64_t, int64_t) { pool.parallel_for(3, 1, [&](int64_t, int64_t) { ++done; }); });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 3 * 100 * 4 * 3);
}

TEST(ThreadPool, WhatABodyThrowsComesToTheCaller) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const auto throwing = [](int64_t begin, int64_t) {
      if (begin % 2 == 1) throw std::bad_alloc();
    };
    EXPECT_THROW(pool.parallel_for(6, 1, throwing), std::bad_alloc);
    std::atomic<int> pieces{0};
    pool.parallel_for(6, 1, [&](int64_t, int64_t) { ++pieces; });
    EXPECT_EQ(pieces, 6);
  }
}

TEST(ThreadPool, NothingToDo) {
  ThreadPool pool(2);
  pool.parallel_for(0, 1, [](int64_t, int64_t) { FAIL(); });
  EXPECT_GE(available_processors(), 1);
}

}  // namespace
}  // namespace pippin
