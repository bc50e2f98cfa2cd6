#include "execute/execute.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "execute/journal.h"
#include "execute/plan_check.h"
#include "execute/run.h"
#include "execute/shard_files.h"

namespace pippin {
namespace {

// Size and time of change of each source file: a file that was replaced makes another conversion.
std::vector<std::string> identity_of(const Checkpoint& source) {
  std::vector<std::string> identity;
  for (const auto& file : source.files()) {
    struct stat status {};
    std::string changed;
    if (::stat(file->name().c_str(), &status) == 0) {
#if defined(__APPLE__)
      const timespec& time = status.st_mtimespec;
#else
      const timespec& time = status.st_mtim;
#endif
      changed = fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec);
    }
    identity.push_back(
        fmt::format("{} {} {}", std::filesystem::path(file->name()).filename().string(), file->size(), changed));
  }
  return identity;
}

std::string text_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Which jobs and shards need not be done again. What the journal says counts only for shards that are still there.
void take_over(const JournalContent& content, const Plan& plan, const ShardFiles& files, Finished& finished) {
  std::vector<bool> intact;
  for (uint32_t shard = 0; shard < plan.shards.size(); shard++) {
    intact.push_back(files.is_intact(shard));
    finished.shards[shard] = intact[shard] && content.shards[shard];
  }
  for (size_t j = 0; j < plan.jobs.size(); j++) {
    const auto& outputs = plan.jobs[j].outputs;
    const auto all = [&](const std::vector<bool>& shards) {
      return std::all_of(outputs.begin(), outputs.end(),
                         [&](uint32_t output) { return shards[plan.outputs[output].shard]; });
    };
    finished.jobs[j] = (content.jobs[j] && all(intact)) || all(finished.shards);
  }
}

size_t thread_count(int wanted) {
  constexpr unsigned most = 256;
  const unsigned count = wanted > 0 ? static_cast<unsigned>(wanted) : std::thread::hardware_concurrency();
  return std::clamp(count, 1u, most);
}

Result<ExecuteReport> run_plan(const Plan& plan, const Checkpoint& source, const std::filesystem::path& folder,
                               const ExecuteOptions& options) {
  PIPPIN_CHECK(check_plan(plan, source));
  const std::string digest = digest_of(plan, identity_of(source));
  const std::string boot = boot_id();
  const auto journal_path = folder / journal_file;

  ExecuteReport report;
  Finished finished{std::vector<bool>(plan.jobs.size()), std::vector<bool>(plan.shards.size())};
  ShardFiles files(plan.shards, folder);
  JournalContent content;
  if (options.resume) {
    content = read_journal(text_of_file(journal_path), digest, boot, plan.jobs.size(), plan.shards.size());
    if (content.same_plan)
      take_over(content, plan, files, finished);
    else
      report.warnings.push_back("nothing to resume: the folder has no journal of this conversion; it starts anew");
  }
  Journal journal;
  PIPPIN_CHECK(journal.open(journal_path, content.same_plan ? content.valid_bytes : 0, digest, boot));
  PIPPIN_CHECK(files.create(content.same_plan));
  Run run(plan, source, files, journal, std::move(finished), options, thread_count(options.threads));
  PIPPIN_CHECK(run.run(report));
  return report;
}

}  // namespace

Result<ExecuteReport> execute(const Plan& plan, const Checkpoint& source, const std::filesystem::path& folder,
                              const ExecuteOptions& options) {
  try {
    return run_plan(plan, source, folder, options);
  } catch (...) {
    return tl::unexpected<Error>(error_of_exception());
  }
}

}  // namespace pippin
