// Threads that work on a queue of transfers until all are done or one has failed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "hub/hub_session.h"
#include "pippin/error.h"

namespace pippin {

// The queue's part of it: its lock, and the first error, which ends all.
class WorkerCrew {
 protected:
  static constexpr auto progress_every = std::chrono::milliseconds(100);

  // way_out: what to do after an interruption.
  WorkerCrew(HubSession& session, std::string way_out) : session_(session), way_out_(std::move(way_out)) {}

  // Runs `work` in each of `connections` (1 to 64) threads, and shows the progress from this one, until `all_done`,
  // which is asked with the mutex held; then once more, as the last. Gives the first error.
  Status run_crew(int connections, const std::function<void()>& work, const std::function<bool()>& all_done,
                  const std::function<void(bool last)>& show_progress);

  // Keeps the first error, and stops the session.
  void fail_with(Error error);

  HubSession& session_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Error> error_;

 private:
  std::string way_out_;
};

}  // namespace pippin
