#include "execute/journal.h"

#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace pippin {
namespace {

constexpr std::string_view title = "pippin journal 1 ";

// The number after `word` and a space.
std::optional<size_t> numbered(std::string_view line, std::string_view word, size_t count) {
  if (!line.starts_with(word)) return std::nullopt;
  line.remove_prefix(word.size());
  size_t number = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc() || end != line.data() + line.size() || number >= count) return std::nullopt;
  return number;
}

Error journal_error(const std::string& path, int number) {
  const ErrorTag tag = number == ENOSPC || number == EDQUOT || number == EFBIG  ? ErrorTag::no_space
                       : number == EACCES || number == EROFS || number == EPERM ? ErrorTag::destination
                                                                                : ErrorTag::io;
  return Error{tag,
               "the journal can be written",
               fmt::format("{}: {}", path, std::generic_category().message(number)),
               "choose a folder that can be written, on a disk with free space",
               {}};
}

}  // namespace

JournalContent read_journal(std::string_view text, std::string_view digest, std::string_view boot, size_t jobs,
                            size_t shards) {
  JournalContent content;
  content.jobs.resize(jobs);
  content.shards.resize(shards);
  bool same_boot = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(at, end - at);
    if (at == 0) {
      content.same_plan = line == fmt::format("{}{}", title, digest);
      if (!content.same_plan) return content;
    } else if (line.starts_with("boot ")) {
      same_boot = !boot.empty() && line.substr(5) == boot;
    } else if (const auto job = numbered(line, "job ", jobs)) {
      if (same_boot) content.jobs[*job] = true;
    } else if (const auto shard = numbered(line, "shard ", shards)) {
      content.shards[*shard] = true;
    } else {
      break;
    }
    at = end + 1;
    content.valid_bytes = at;
  }
  return content;
}

std::string boot_id() {
#if defined(__APPLE__)
  char text[64] = {};
  size_t size = sizeof text - 1;
  return ::sysctlbyname("kern.bootsessionuuid", text, &size, nullptr, 0) == 0 ? std::string(text) : std::string();
#else
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(file, text);
  return text;
#endif
}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status Journal::open(const std::filesystem::path& path, size_t keep_bytes, std::string_view digest,
                     std::string_view boot) {
  path_ = path.string();
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0 || ::ftruncate(descriptor_, static_cast<off_t>(keep_bytes)) != 0)
    return tl::unexpected<Error>(journal_error(path_, errno));
  if (keep_bytes == 0) PIPPIN_CHECK(append(fmt::format("{}{}\n", title, digest)));
  return append(fmt::format("boot {}\n", boot));
}

Status Journal::append(const std::string& line) {
  const std::lock_guard lock(mutex_);
  ssize_t written = 0;
  do {
    written = ::write(descriptor_, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return {};
  return tl::unexpected<Error>(journal_error(path_, written < 0 ? errno : ENOSPC));
}

Status Journal::job_finished(size_t job) {
  return append(fmt::format("job {}\n", job));
}

Status Journal::shard_finished(size_t shard) {
  PIPPIN_CHECK(append(fmt::format("shard {}\n", shard)));
  if (::fsync(descriptor_) != 0) return tl::unexpected<Error>(journal_error(path_, errno));
  return {};
}

}  // namespace pippin
