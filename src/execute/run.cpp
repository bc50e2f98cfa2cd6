#include "execute/run.h"

#include <algorithm>
#include <exception>
#include <new>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "execute/source_ranges.h"

namespace pippin {
namespace {

// Blocks ahead of the workers that the source is told about; about 1 MB each.
constexpr uint64_t units_ahead = 64;

// A part of the budget is for stacks, file tables and what the C library keeps.
size_t bytes_of_thread(uint64_t budget, size_t threads) {
  constexpr uint64_t least = 64 << 10;
  return static_cast<size_t>(std::max<uint64_t>(least, budget / 4 * 3 / threads));
}

// What fits in memory beside other things is left in the page cache: the next conversion may read it again.
bool is_larger_than_half_of_memory(uint64_t bytes) {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 && bytes > static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) / 2;
}

uint64_t total_size(const Checkpoint& source) {
  uint64_t size = 0;
  for (const auto& file : source.files()) size += file->size();
  return size;
}

// Joins on every way out.
struct Joined {
  std::vector<std::thread> threads;
  ~Joined() {
    for (std::thread& thread : threads) thread.join();
  }
};

}  // namespace

Error error_of_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return Error{ErrorTag::io,
                 "the memory suffices",
                 "the system gave no more",
                 "give a smaller --memory or fewer --threads",
                 {}};
  } catch (const std::exception& exception) {
    return Error{ErrorTag::io, "nothing unexpected happens", exception.what(), {}, {}};
  } catch (...) {
    return Error{ErrorTag::io, "nothing unexpected happens", "an unknown exception", {}, {}};
  }
}

Run::Run(const Plan& plan, const Checkpoint& source, ShardFiles& files, Journal& journal, Finished finished,
         const ExecuteOptions& options, size_t threads)
    : plan_(plan),
      source_(source),
      files_(files),
      journal_(journal),
      finished_(std::move(finished)),
      options_(options),
      threads_(threads),
      thread_bytes_(bytes_of_thread(plan.memory_budget, threads)),
      read_ahead_(plan, source, is_larger_than_half_of_memory(total_size(source))) {
  cut_jobs(source);
  count_shards();
  if (options_.in_source_order) sort_units();
}

void Run::cut_jobs(const Checkpoint& source) {
  for (size_t j = 0; j < plan_.jobs.size(); j++) {
    JobState& state = jobs_.emplace_back();
    state.first_unit = units_;
    if (finished_.jobs[j]) {
      for (const uint32_t output : plan_.jobs[j].outputs) bytes_resumed_ += plan_.outputs[output].size;
      continue;
    }
    state.blocks = cut_job(plan_.jobs[j], source, thread_bytes_);
    state.unfinished = state.blocks.count;
    units_ += static_cast<uint64_t>(state.blocks.count);
  }
}

void Run::count_shards() {
  shard_unfinished_.resize(plan_.shards.size());
  for (size_t j = 0; j < plan_.jobs.size(); j++) {
    if (jobs_[j].blocks.count == 0) continue;
    for (const uint32_t output : plan_.jobs[j].outputs) shard_unfinished_[plan_.outputs[output].shard]++;
  }
  for (uint32_t shard = 0; shard < plan_.shards.size(); shard++) {
    if (shard_unfinished_[shard] == 0 && !finished_.shards[shard]) shards_to_finish_.push_back(shard);
  }
}

void Run::sort_units() {
  std::vector<uint64_t> file_begins;  // as if the files stood one behind the other
  uint64_t total = 0;
  for (const auto& file : source_.files()) {
    file_begins.push_back(total);
    total += file->size();
  }
  std::vector<std::pair<uint64_t, uint64_t>> ends;  // of a unit's bytes, and its number
  ends.reserve(static_cast<size_t>(units_));
  for (uint64_t number = 0; number < units_; number++) {
    const Unit unit = unit_at(number);
    uint64_t last = 0;
    for_each_range(plan_.jobs[unit.job], jobs_[unit.job].blocks.box(unit.block), source_,
                   [&](const SourceRange& range) {
                     const TensorInfo& info = source_.tensors()[range.tensor];
                     const uint64_t begin = info.offset + range.begin;
                     source_.files()[info.file]->announce_use(begin, range.end - range.begin);
                     last = std::max(last, file_begins[info.file] + info.offset + range.end);
                   });
    ends.emplace_back(last, number);
  }
  std::sort(ends.begin(), ends.end());
  order_.reserve(ends.size());
  for (const auto& end : ends) order_.push_back(end.second);
}

void Run::end_uses(const Unit& unit) {
  for_each_range(plan_.jobs[unit.job], jobs_[unit.job].blocks.box(unit.block), source_, [&](const SourceRange& range) {
    const TensorInfo& info = source_.tensors()[range.tensor];
    source_.files()[info.file]->end_use(info.offset + range.begin, range.end - range.begin);
  });
}

Run::Unit Run::unit_at(uint64_t number) const {
  if (!order_.empty()) number = order_[static_cast<size_t>(number)];
  const auto after = std::upper_bound(jobs_.begin(), jobs_.end(), number,
                                      [](uint64_t unit, const JobState& job) { return unit < job.first_unit; });
  // The last job that begins at or before the unit; jobs without units lie before it.
  const auto job = static_cast<size_t>(after - jobs_.begin()) - 1;
  return {job, static_cast<int64_t>(number - jobs_[job].first_unit)};
}

Status Run::run(ExecuteReport& report) {
  const auto count = static_cast<size_t>(std::clamp<uint64_t>(units_, 1, threads_));
  {
    Joined joined;
    joined.threads.reserve(count);
    for (size_t i = 0; i < count && start_thread(joined.threads); i++) {
    }
    if (joined.threads.empty())
      return fail(ErrorTag::io, "threads can be started", "the system gave none", "close other programs");
    finish_shards();
  }
  if (error_) return tl::unexpected<Error>(std::move(*error_));
  show_progress(true);
  report.bytes_read = bytes_read_;
  report.bytes_written = bytes_written_;
  report.nonfinite_values = nonfinite_values_;
  report.jobs_resumed = static_cast<uint64_t>(std::count(finished_.jobs.begin(), finished_.jobs.end(), true));
  return {};
}

// False where the system gives no more threads; those there are do all the work.
bool Run::start_thread(std::vector<std::thread>& threads) {
  {
    const std::lock_guard lock(mutex_);
    working_++;
  }
  try {
    threads.emplace_back([this] { work(); });
    return true;
  } catch (const std::system_error&) {
    const std::lock_guard lock(mutex_);
    working_--;
    return false;
  }
}

void Run::fail_at(uint64_t unit, Error error) {
  stop_ = true;
  const std::lock_guard lock(mutex_);
  if (error_ && error_unit_ <= unit) return;
  error_ = std::move(error);
  error_unit_ = unit;
}

void Run::work() {
  try {
    BlockWriter writer(plan_, source_, files_, thread_bytes_);
    work_through(writer);
    nonfinite_values_ += writer.nonfinite_values();
  } catch (...) {
    fail_at(no_unit, error_of_exception());
  }
  const std::lock_guard lock(mutex_);
  working_--;
  changed_.notify_all();
}

void Run::work_through(BlockWriter& writer) {
  while (!stop_) {
    if (options_.cancelled && options_.cancelled->load()) {
      return fail_at(no_unit, {ErrorTag::interrupted,
                               "a conversion runs to its end",
                               "it was stopped",
                               "give --resume to go on from what is written",
                               {}});
    }
    const uint64_t number = next_unit_++;
    if (number >= units_) return;
    look_ahead(number);
    const uint64_t read = writer.bytes_read();
    const uint64_t written = writer.bytes_written();
    if (auto status = do_unit(writer, number); !status) return fail_at(number, std::move(status).error());
    bytes_read_ += writer.bytes_read() - read;
    bytes_written_ += writer.bytes_written() - written;
    show_progress(false);
  }
}

// Tells of each unit once, up to units_ahead beyond the one that is begun.
void Run::look_ahead(uint64_t number) {
  const uint64_t end = std::min(units_, number + units_ahead);
  while (next_ahead_ < end) {
    const uint64_t ahead = next_ahead_++;
    if (ahead >= units_) return;
    const Unit unit = unit_at(ahead);
    read_ahead_.will_compute(plan_.jobs[unit.job], jobs_[unit.job].blocks.box(unit.block));
  }
}

Status Run::do_unit(BlockWriter& writer, uint64_t number) {
  const Unit unit = unit_at(number);
  const Job& job = plan_.jobs[unit.job];
  auto status = writer.write_block(job, jobs_[unit.job].blocks, unit.block);
  if (!status) {
    Error error = std::move(status).error();
    if (error.tag == ErrorTag::nonfinite)
      error.details.push_back(fmt::format("on the way to {}", plan_.outputs[job.outputs[0]].name));
    return tl::unexpected<Error>(std::move(error));
  }
  if (options_.in_source_order) end_uses(unit);
  return --jobs_[unit.job].unfinished == 0 ? finish_job(unit.job) : Status();
}

Status Run::finish_job(size_t job) {
  PIPPIN_CHECK(journal_.job_finished(job));
  read_ahead_.finished(plan_.jobs[job]);
  const std::lock_guard lock(mutex_);
  for (const uint32_t output : plan_.jobs[job].outputs) {
    const uint32_t shard = plan_.outputs[output].shard;
    if (--shard_unfinished_[shard] == 0) shards_to_finish_.push_back(shard);
  }
  changed_.notify_all();
  return {};
}

void Run::finish_shards() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto has_work = [&] { return working_ == 0 || !shards_to_finish_.empty(); };
    while (!changed_.wait_for(lock, std::chrono::milliseconds(20), has_work)) {
      lock.unlock();
      files_.begin_to_flush();
      lock.lock();
    }
    if (stop_ || shards_to_finish_.empty()) {
      if (working_ == 0) return;
      changed_.wait(lock, [&] { return working_ == 0; });
      continue;
    }
    const uint32_t shard = shards_to_finish_.front();
    shards_to_finish_.pop_front();
    lock.unlock();
    auto status = files_.finish(shard);
    if (status) status = journal_.shard_finished(shard);
    if (!status) fail_at(no_unit, std::move(status).error());
    lock.lock();
  }
}

void Run::show_progress(bool last) {
  if (!options_.progress) return;
  std::unique_lock lock(progress_mutex_, std::try_to_lock);
  if (!lock && !last) return;
  if (!lock) lock.lock();
  const auto now = std::chrono::steady_clock::now();
  if (!last && now - last_progress_ < std::chrono::milliseconds(50)) return;
  last_progress_ = now;
  options_.progress(bytes_read_, bytes_resumed_ + bytes_written_);
}

}  // namespace pippin
