#include "hub/send_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "hub/url.h"
#include "hub/worker_crew.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr size_t most_objects = 100;  // in one question for plans
constexpr int most_plans = 4;         // for one object, as links expire
constexpr long silence_seconds = 60;  // a storage host may take its time for the answer to a part

// An object on its way.
struct Job {
  const SendItem& item;
  UploadPlan plan;
  int plans = 1;                 // asked for so far
  std::vector<bool> given = {};  // parts that a worker has or had
  std::vector<bool> whole = {};
  std::vector<std::string> etags = {};
  size_t working = 0;      // workers on its parts
  bool expired = false;    // a link was refused: all is to be planned anew
  bool finishing = false;  // a worker joins the parts, or plans anew
  bool done = false;
  std::vector<std::unique_ptr<std::atomic<uint64_t>>> sent = {};  // bytes of each part

  Job(const SendItem& of, UploadPlan first) : item(of), plan(std::move(first)) { begin(); }

  void begin() {
    given.assign(plan.parts.size(), false);
    whole.assign(plan.parts.size(), false);
    etags.assign(plan.parts.size(), {});
    sent.clear();
    for (size_t i = 0; i < plan.parts.size(); ++i) sent.push_back(std::make_unique<std::atomic<uint64_t>>(0));
    expired = false;
    done = plan.is_there;
  }

  [[nodiscard]] uint64_t bytes_sent() const {
    uint64_t bytes = 0;
    for (const auto& part : sent) bytes += *part;
    return bytes;
  }
};

struct Task {
  Job* job;
  std::optional<size_t> part;  // none: finish the object, or plan it anew
};

class SendQueue : private WorkerCrew {
 public:
  SendQueue(HubSession& session, const CommitTarget& target, const std::function<void(const UploadProgress&)>& progress)
      : WorkerCrew(session, "run it again: files that arrived whole are not sent again"),
        target_(target),
        progress_(progress) {}

  Status plan(const std::vector<SendItem>& items) {
    for (size_t begin = 0; begin < items.size(); begin += most_objects) {
      const size_t end = std::min(items.size(), begin + most_objects);
      std::vector<LargeObject> objects;
      for (size_t i = begin; i < end; ++i) objects.push_back(items[i].object);
      PIPPIN_TRY(auto plans, ask_upload_plans(session_, target_, objects));
      for (size_t i = begin; i < end; ++i) {
        jobs_.emplace_back(items[i], std::move(plans[i - begin]));
        if (!jobs_.back().done) total_ += items[i].object.size;
      }
    }
    return {};
  }

  Result<SendReport> run(int connections) {
    const auto all_done = [this] { return std::ranges::all_of(jobs_, &Job::done); };
    PIPPIN_CHECK(run_crew(
        connections, [this] { work(); }, all_done, [this](bool last) { show_progress(last); }));
    return std::move(report_);
  }

 private:
  void work() {
    while (const auto task = next()) {
      const auto status = task->part ? send_part(*task->job, *task->part) : finish(*task->job);
      if (!status) fail_with(status.error());
    }
  }

  std::optional<Task> next() {
    std::unique_lock lock(mutex_);
    while (true) {
      if (error_ || session_.is_stopped()) return std::nullopt;
      bool all_done = true;
      for (auto& job : jobs_) {
        if (job.done) continue;
        all_done = false;
        if (auto task = task_of(job)) return task;
      }
      if (all_done) return std::nullopt;
      changed_.wait_for(lock, progress_every);
    }
  }

  static std::optional<Task> task_of(Job& job) {
    if (job.finishing) return std::nullopt;
    for (size_t i = 0; i < job.given.size() && !job.expired; ++i) {
      if (job.given[i]) continue;
      job.given[i] = true;
      ++job.working;
      return Task{&job, i};
    }
    if (job.working > 0) return std::nullopt;
    job.finishing = true;
    return Task{&job, std::nullopt};
  }

  Status send_part(Job& job, size_t part) {
    const auto answer = put(job, part);
    const std::lock_guard lock(mutex_);
    --job.working;
    changed_.notify_all();
    if (!answer) return tl::unexpected<Error>(answer.error());
    if (answer->status == 403 || answer->status == 404) {
      job.expired = true;
      return {};
    }
    if (answer->status != 200 && answer->status != 201 && answer->status != 204) {
      return fail(ErrorTag::network, "the storage host takes the file",
                  fmt::format("{}: {} answers with status {}", in_quotes(job.item.file.name),
                              shown_url(job.plan.parts[part]), answer->status),
                  "run it again: files that arrived whole are not sent again");
    }
    job.whole[part] = true;
    job.etags[part] = std::string(answer->headers.get("etag"));
    return {};
  }

  // Redirects are not followed: the bytes go where the Hub said.
  Result<HttpAnswer> put(Job& job, size_t part) {
    const uint64_t begin = part * job.plan.part_size;
    PIPPIN_TRY(const DiskFile file, open_to_upload(job.item.file));
    HttpRequest request;
    request.method = "PUT";
    request.url = job.plan.parts[part];
    request.headers = {"Expect:"};
    request.own_connection = true;
    request.signed_link = true;
    request.silence_seconds = silence_seconds;
    request.give_size = std::min(job.plan.part_size, job.item.object.size - begin);
    request.give = [&](uint64_t offset, std::span<std::byte> out) -> Status {
      PIPPIN_CHECK(file.read(begin + offset, out));
      *job.sent[part] = offset + out.size();
      return {};
    };
    for (int failures = 1;; ++failures) {
      const auto answer = session_.once(request);
      std::optional<Error> error;
      if (!answer)
        error = session_.wait_after(failures, answer.error());
      else if (is_passing(answer->status))
        error = session_.wait_after(failures, *answer, request.url);
      else
        return *answer;
      *job.sent[part] = 0;
      if (error) return tl::unexpected<Error>(std::move(*error));
    }
  }

  Status finish(Job& job) {
    if (job.expired) return plan_anew(job);
    if (!job.plan.complete.empty()) {
      PIPPIN_TRY(const bool joined, complete_upload(session_, job.plan, job.item.object, job.etags));
      if (!joined) return plan_anew(job);
    }
    PIPPIN_CHECK(verify_upload(session_, job.plan, job.item.object));
    const std::lock_guard lock(mutex_);
    arrived(job);
    return {};
  }

  Status plan_anew(Job& job) {
    if (++job.plans > most_plans) {
      return fail(ErrorTag::network, "the Hub's links for an upload are good",
                  fmt::format("{}: refused {} times", in_quotes(job.item.file.name), most_plans),
                  "run it again: files that arrived whole are not sent again");
    }
    PIPPIN_TRY(auto plans, ask_upload_plans(session_, target_, {job.item.object}));
    const std::lock_guard lock(mutex_);
    if (plans.front().is_there) {
      arrived(job);
      return {};
    }
    job.plan = std::move(plans.front());
    job.begin();
    job.finishing = false;
    changed_.notify_all();
    return {};
  }

  // The mutex is held.
  void arrived(Job& job) {
    job.done = true;
    report_.bytes += job.item.object.size;
    report_.names.push_back(job.item.file.name);
    changed_.notify_all();
  }

  void show_progress(bool last) {
    if (!progress_) return;
    const auto now = std::chrono::steady_clock::now();
    if (!last && now - shown_ < progress_every) return;
    shown_ = now;
    UploadProgress progress;
    progress.stage = UploadProgress::Stage::sending;
    {
      const std::lock_guard lock(mutex_);
      progress.total = total_;
      progress.files = jobs_.size();
      for (const auto& job : jobs_) {
        const uint64_t sent = job.bytes_sent();
        progress.done += sent;
        if (job.done)
          ++progress.files_done;
        else if (sent > 0)
          progress.current.push_back({job.item.file.name, sent, job.item.object.size});
      }
    }
    progress_(progress);
  }

  const CommitTarget& target_;
  const std::function<void(const UploadProgress&)>& progress_;
  std::deque<Job> jobs_;
  SendReport report_;
  std::chrono::steady_clock::time_point shown_{};
  uint64_t total_ = 0;  // of all that the Hub does not have
};

}  // namespace

Result<SendReport> send_large(HubSession& session, const CommitTarget& target, const std::vector<SendItem>& items,
                              int connections, const std::function<void(const UploadProgress&)>& progress) {
  SendQueue queue(session, target, progress);
  PIPPIN_CHECK(queue.plan(items));
  return queue.run(connections);
}

}  // namespace pippin
