#include "hub/worker_crew.h"

#include <algorithm>
#include <thread>
#include <vector>

namespace pippin {

Status WorkerCrew::run_crew(int connections, const std::function<void()>& work, const std::function<bool()>& all_done,
                            const std::function<void(bool last)>& show_progress) {
  std::vector<std::thread> workers;
  for (int i = 0; i < std::clamp(connections, 1, 64); ++i) workers.emplace_back(work);
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, progress_every);
      if (session_.is_stopped() && !error_) error_ = Error{ErrorTag::interrupted, "", "interrupted", way_out_, {}};
      if (error_ || all_done()) break;
    }
    show_progress(false);
  }
  for (auto& worker : workers) worker.join();
  if (error_) return tl::unexpected<Error>(std::move(*error_));
  show_progress(true);
  return {};
}

void WorkerCrew::fail_with(Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  session_.stop();
  changed_.notify_all();
}

}  // namespace pippin
