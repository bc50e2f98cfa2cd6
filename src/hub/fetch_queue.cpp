#include "hub/fetch_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>

#include "hub/disk_file.h"
#include "hub/partial_file.h"
#include "hub/remote_file.h"
#include "hub/worker_crew.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr int most_tries = 3;  // for a content whose digest is wrong

enum class Stage : uint8_t { waiting, opening, probing, open, single, checking, done };

// A file on its way.
struct Job {
  RepoFile file;
  RemoteFile remote;
  size_t number = 0;
  std::atomic<Stage> stage{Stage::waiting};
  std::optional<DiskFile> lock = std::nullopt;
  std::optional<PartialFile> partial = std::nullopt;
  std::vector<bool> given = {};  // pieces that a worker has or had
  size_t working = 0;            // workers on its pieces
  int tries = 0;
  std::atomic<uint64_t> done{0};  // bytes there

  Job(HubSession& session, const std::string& repo, const std::string& commit, RepoFile of)
      : file(of), remote(session, repo, commit, std::move(of)) {}
};

struct Task {
  enum class Kind : uint8_t { open, piece, check } kind;
  Job* job;
  size_t piece = 0;
};

class FetchQueue : private WorkerCrew {
 public:
  FetchQueue(HubSession& session, TargetFolder& target, const FetchOptions& options)
      : WorkerCrew(session, "run it again: what has arrived is kept"), target_(target), options_(options) {}

  void add(const std::string& repo, const std::string& commit, const RepoFile& file) {
    const size_t number = jobs_.size();
    jobs_.emplace_back(session_, repo, commit, file).number = number;
    total_ += file.size;
  }

  Result<FetchReport> run() {
    const auto all_done = [this] {
      return std::ranges::all_of(jobs_, [](const Job& job) { return job.stage == Stage::done; });
    };
    PIPPIN_CHECK(run_crew(
        options_.connections, [this] { work(); }, all_done, [this](bool last) { show_progress(last); }));
    report_.bytes = fetched_;
    return std::move(report_);
  }

 private:
  void work() {
    while (const auto task = next()) {
      Status status;
      if (task->kind == Task::Kind::open) status = open(*task->job);
      if (task->kind == Task::Kind::piece) status = fetch_piece(*task->job, task->piece);
      if (task->kind == Task::Kind::check) status = check(*task->job);
      if (!status) fail_with(std::move(status).error());
    }
  }

  // Waits for something to do; nothing when all is done or one has failed. Files that are begun come first.
  std::optional<Task> next() {
    std::unique_lock lock(mutex_);
    while (true) {
      if (error_ || session_.is_stopped()) return std::nullopt;
      while (first_ < jobs_.size() && jobs_[first_].stage == Stage::done) ++first_;
      if (first_ == jobs_.size()) return std::nullopt;
      for (size_t i = first_; i < jobs_.size(); ++i) {
        if (auto task = task_of(jobs_[i])) return task;
      }
      changed_.wait_for(lock, progress_every);
    }
  }

  static std::optional<Task> task_of(Job& job) {
    if (job.stage == Stage::waiting) {
      job.stage = Stage::opening;
      return Task{Task::Kind::open, &job};
    }
    if (job.stage != Stage::open) return std::nullopt;
    for (size_t i = 0; i < job.given.size(); ++i) {
      if (job.given[i]) continue;
      job.given[i] = true;
      ++job.working;
      // The first answer of a file tells whether its server knows ranges; until then it gets one connection.
      if (job.remote.ranges() == RemoteFile::Ranges::unknown) job.stage = Stage::probing;
      if (job.remote.ranges() == RemoteFile::Ranges::ignored) {
        job.given.assign(job.given.size(), true);
        job.stage = Stage::single;
      }
      return Task{Task::Kind::piece, &job, i};
    }
    if (job.working > 0) return std::nullopt;
    job.stage = Stage::checking;
    return Task{Task::Kind::check, &job};
  }

  Status open(Job& job) {
    const auto stopped = [this] { return is_ending(); };
    PIPPIN_TRY(const bool there_at_once, target_.has(job.file));
    if (there_at_once) return finish(job, false);
    const auto path = target_.partial(job.file);
    PIPPIN_CHECK(make_folders(path.parent_path()));
    while (!job.partial) {
      PIPPIN_TRY(job.lock, wait_for_lock(target_.lock(job.file), stopped));
      if (!job.lock) return {};
      // Whoever had the lock may have fetched it.
      PIPPIN_TRY(const bool there, target_.has(job.file));
      if (there) return finish(job, false);
      PIPPIN_TRY(job.partial, PartialFile::open(path, job.file.size, options_.piece_size));
      if (job.partial) break;
      job.lock.reset();
      if (stopped()) return {};
      std::this_thread::sleep_for(progress_every);
    }
    job.done = job.partial->bytes_there();
    before_ += job.done;
    return take_up(job);
  }

  // Begins with the pieces that are missing.
  Status take_up(Job& job) {
    if (options_.observer) PIPPIN_CHECK(options_.observer->opened(job.number, *job.partial));
    const std::lock_guard lock(mutex_);
    job.given.assign(job.partial->piece_count(), false);
    for (size_t i = 0; i < job.given.size(); ++i) {
      const auto missing = job.partial->missing(i);
      job.given[i] = missing.begin == missing.end;
    }
    job.stage = Stage::open;
    changed_.notify_all();
    return {};
  }

  Status fetch_piece(Job& job, size_t piece) {
    auto missing = job.partial->missing(piece);
    // A server without ranges sends all in one go; the rest of the file is this worker's.
    if (job.stage == Stage::single) missing.end = job.file.size;
    const auto status =
        job.remote.read(missing.begin, missing.end, [&](uint64_t offset, std::span<const std::byte> bytes) -> Status {
          if (job.stage == Stage::probing && job.remote.ranges() == RemoteFile::Ranges::given)
            set_stage(job, Stage::open);
          PIPPIN_CHECK(job.partial->write(offset, bytes));
          tell(job, offset, bytes.size());
          job.done += bytes.size();
          fetched_ += bytes.size();
          return {};
        });
    const auto noted = job.partial->note(piece);
    tell(job, missing.begin, 1);
    const std::lock_guard lock(mutex_);
    --job.working;
    if (job.stage == Stage::probing || job.stage == Stage::single) job.stage = Stage::open;
    changed_.notify_all();
    return status ? noted : status;
  }

  // Tells the observer of the pieces that have bytes of the range.
  void tell(const Job& job, uint64_t offset, size_t size) {
    if (!options_.observer) return;
    const uint64_t piece_size = job.partial->piece_size();
    for (uint64_t piece = offset / piece_size; piece * piece_size < offset + size; ++piece)
      options_.observer->arrived(job.number, static_cast<size_t>(piece),
                                 job.partial->noted(static_cast<size_t>(piece)));
  }

  Status check(Job& job) {
    PIPPIN_TRY(const bool right, job.partial->check(job.file.content_id(), [this] { return is_ending(); }));
    if (right) {
      PIPPIN_CHECK(job.partial->finish());
      PIPPIN_CHECK(target_.put(job.partial->path(), job.file));
      return finish(job, true);
    }
    wasted_ += job.file.size;
    job.done = 0;
    if (options_.observer) options_.observer->wrong(job.number);
    PIPPIN_CHECK(job.partial->begin_anew());
    if (++job.tries >= most_tries) {
      return fail(ErrorTag::bad_file, "a file has the content that the Hub promises",
                  fmt::format("{}: other bytes came, {} times", in_quotes(job.file.name), most_tries),
                  "run it again later, or over another connection");
    }
    return take_up(job);
  }

  Status finish(Job& job, bool fetched) {
    if (options_.observer) PIPPIN_CHECK(options_.observer->whole(job.number));
    const std::lock_guard lock(mutex_);
    if (fetched)
      report_.fetched.push_back(job.file.name);
    else
      total_ -= job.file.size;
    job.partial.reset();
    job.lock.reset();
    job.stage = Stage::done;
    changed_.notify_all();
    return {};
  }

  void set_stage(Job& job, Stage stage) {
    const std::lock_guard lock(mutex_);
    job.stage = stage;
    changed_.notify_all();
  }

  bool is_ending() {
    if (session_.is_stopped()) return true;
    const std::lock_guard lock(mutex_);
    return error_.has_value();
  }

  void show_progress(bool last) {
    if (!options_.progress) return;
    const auto now = std::chrono::steady_clock::now();
    if (!last && now - shown_ < progress_every) return;
    shown_ = now;
    DownloadProgress progress;
    {
      const std::lock_guard lock(mutex_);
      progress.done = fetched_;
      progress.total = std::max<uint64_t>(total_ - before_ + wasted_, progress.done);
      progress.files = jobs_.size();
      for (const auto& job : jobs_) {
        if (job.stage == Stage::done)
          ++progress.files_done;
        else if (job.stage != Stage::waiting && job.stage != Stage::opening)
          progress.current.push_back({job.file.name, std::min<uint64_t>(job.done, job.file.size), job.file.size});
      }
    }
    options_.progress(progress);
  }

  TargetFolder& target_;
  const FetchOptions& options_;
  std::deque<Job> jobs_;
  size_t first_ = 0;  // all before it are done
  FetchReport report_;
  std::chrono::steady_clock::time_point shown_{};
  std::atomic<uint64_t> fetched_{0};
  std::atomic<uint64_t> total_{0};   // of all files that are not there
  std::atomic<uint64_t> before_{0};  // that earlier runs had fetched of them
  std::atomic<uint64_t> wasted_{0};  // that had a wrong digest
};

}  // namespace

Result<FetchReport> fetch(HubSession& session, const std::string& repo, const std::string& commit,
                          const std::vector<RepoFile>& files, TargetFolder& target, const FetchOptions& options) {
  FetchQueue queue(session, target, options);
  for (const auto& file : files) queue.add(repo, commit, file);
  return queue.run();
}

}  // namespace pippin
