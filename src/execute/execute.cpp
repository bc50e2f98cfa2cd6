#include "execute/execute.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include "execute/journal.h"
#include "execute/plan_check.h"
#include "execute/run.h"
#include "execute/shard_files.h"

namespace pippin {
namespace {

// A file that was replaced makes another conversion.
std::vector<std::string> identity_of(const Checkpoint& source) {
  std::vector<std::string> identity;
  for (const auto& file : source.files()) identity.push_back(file->identity());
  return identity;
}

std::string text_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Which jobs and shards need not be done again. What the journal says counts only for shards that are still there.
void take_over(const JournalContent& content, const Plan& plan, const ShardFiles& files,
               const std::function<bool(size_t job)>& trusted, Finished& finished) {
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
  for (size_t j = 0; trusted && j < plan.jobs.size(); j++) {
    if (!finished.jobs[j] || trusted(j)) continue;
    finished.jobs[j] = false;
    for (const uint32_t output : plan.jobs[j].outputs) finished.shards[plan.outputs[output].shard] = false;
  }
}

// Whether the journal says more than counts: what is done again must not stand there as done.
bool says_too_much(const JournalContent& content, const Finished& finished) {
  for (size_t j = 0; j < finished.jobs.size(); j++) {
    if (content.jobs[j] && !finished.jobs[j]) return true;
  }
  for (size_t shard = 0; shard < finished.shards.size(); shard++) {
    if (content.shards[shard] && !finished.shards[shard]) return true;
  }
  return false;
}

// Begins the journal anew with what counts of it. A crash on the way leaves less than that.
Status rewrite(Journal& journal, const JournalContent& content, const Finished& finished) {
  for (size_t j = 0; j < finished.jobs.size(); j++) {
    if (content.jobs[j] && finished.jobs[j]) PIPPIN_CHECK(journal.job_finished(j));
  }
  for (size_t shard = 0; shard < finished.shards.size(); shard++) {
    if (finished.shards[shard]) PIPPIN_CHECK(journal.shard_finished(shard));
  }
  return {};
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
      take_over(content, plan, files, options.trusted, finished);
    else
      report.warnings.push_back("nothing to resume: the folder has no journal of this conversion; it starts anew");
  }
  Journal journal;
  const bool anew = !content.same_plan || says_too_much(content, finished);
  PIPPIN_CHECK(journal.open(journal_path, anew ? 0 : content.valid_bytes, digest, boot));
  if (anew && content.same_plan) PIPPIN_CHECK(rewrite(journal, content, finished));
  PIPPIN_CHECK(files.create(content.same_plan));
  Run run(plan, source, files, journal, std::move(finished), options, thread_count(options.threads));
  PIPPIN_CHECK(run.run(report));
  return report;
}

}  // namespace

bool can_resume(const Plan& plan, const Checkpoint& source, const std::filesystem::path& folder) {
  const std::string digest = digest_of(plan, identity_of(source));
  return read_journal(text_of_file(folder / journal_file), digest, boot_id(), plan.jobs.size(), plan.shards.size())
      .same_plan;
}

Result<ExecuteReport> execute(const Plan& plan, const Checkpoint& source, const std::filesystem::path& folder,
                              const ExecuteOptions& options) {
  try {
    return run_plan(plan, source, folder, options);
  } catch (...) {
    return tl::unexpected<Error>(error_of_exception());
  }
}

}  // namespace pippin
