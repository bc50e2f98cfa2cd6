#include "hub/upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "hub/digest.h"
#include "hub/hub_api.h"
#include "hub/repo_name.h"
#include "hub/send_queue.h"
#include "hub/upload_api.h"
#include "hub/upload_folder.h"
#include "hub/url.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

constexpr size_t sample_size = 512;
constexpr size_t most_readers = 4;
constexpr int most_commits = 5;
constexpr uint64_t largest_small_file = uint64_t{10} << 20;
constexpr uint64_t largest_commit = uint64_t{32} << 20;  // of small files: all stand in one request
constexpr auto progress_every = std::chrono::milliseconds(100);
const std::string like_sha256(64, '0');
const std::string like_git_id(40, '0');

// A file of the folder, and how it goes to the Hub.
struct Item {
  LocalFile file;
  bool is_large = false;
  bool ignored = false;
  std::string content_id;  // sha256 of a large file, git's id of any other
  std::string id_there;    // of the branch's file; empty: none
  [[nodiscard]] bool is_there() const { return content_id == id_there; }
};

Status check_names(const HubSession& session, const UploadOptions& options) {
  if (!looks_like_repo(options.repo)) {
    return fail(ErrorTag::usage, "a repository is named org/name, of letters, digits, '-', '_' and '.'",
                in_quotes(options.repo), "put your name or your organisation's before it; pippin whoami tells them");
  }
  PIPPIN_CHECK(check_revision(options.revision));
  if (is_commit_id(options.revision))
    return fail(ErrorTag::usage, "an upload goes to a branch", options.revision + " is a commit");
  if (!session.settings().offline && session.settings().token.empty()) {
    return fail(ErrorTag::denied, "an upload needs a token", "no token was found",
                "set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)");
  }
  return {};
}

// What is meant to be private must not go where anybody can see it.
Status check_privacy(const UploadOptions& options, const RepoState& state) {
  if (!options.is_private || state.is_private) return {};
  return fail(ErrorTag::denied, "a private upload goes to a private repository",
              options.repo + " is there already, and public", "make it private on its page, or take another name");
}

// Makes the repository and the branch where they are missing. Gives whether the repository is new.
Result<bool> prepare(HubSession& session, const UploadOptions& options) {
  PIPPIN_TRY(const auto state, state_of_repo(session, options.repo));
  if (state) PIPPIN_CHECK(check_privacy(options, *state));
  if (!state) PIPPIN_CHECK(create_repo(session, options.repo, options.is_private));
  return !state.has_value();
}

Result<std::string> head_of(HubSession& session, const UploadOptions& options) {
  auto head = commit_of(session, options.repo, options.revision);
  if (head || head.error().tag != ErrorTag::not_found || options.as_pull_request) return head;
  if (options.revision == "main" || options.revision.starts_with("refs/")) return head;
  PIPPIN_CHECK(create_branch(session, options.repo, options.revision));
  return commit_of(session, options.repo, options.revision);
}

Result<std::string> begin_of(const LocalFile& file, uint64_t size) {
  PIPPIN_TRY(const DiskFile opened, open_to_upload(file));
  std::string text(static_cast<size_t>(std::min(file.size, size)), '\0');
  PIPPIN_CHECK(opened.read(0, std::as_writable_bytes(std::span(text))));
  return text;
}

Status check_card_of(HubSession& session, const std::vector<Item>& items) {
  const auto card = std::ranges::find(items, "README.md", [](const Item& item) { return item.file.name; });
  if (card == items.end() || card->file.size > largest_small_file) return {};
  PIPPIN_TRY(const std::string text, begin_of(card->file, card->file.size));
  return check_card(session, text);
}

Status sort_by_kind(HubSession& session, const CommitTarget& target, std::vector<Item>& items) {
  std::vector<PreuploadFile> files;
  for (const auto& item : items) {
    PIPPIN_TRY(std::string sample, begin_of(item.file, sample_size));
    files.push_back({item.file.name, item.file.size, std::move(sample)});
  }
  PIPPIN_TRY(const auto answers, ask_preupload(session, target, files));
  uint64_t small_bytes = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    Item& item = items[i];
    // An empty file cannot be an object of the storage host.
    item.is_large = answers[i].is_large && item.file.size > 0;
    item.ignored = answers[i].ignored;
    if (item.is_large || item.ignored) continue;
    // The Hub takes any file as a large one; the commit is held in memory.
    if (item.file.size > largest_small_file || small_bytes + item.file.size > largest_commit)
      item.is_large = item.file.size > 0;
    else
      small_bytes += item.file.size;
  }
  return {};
}

// Reads all files, several at a time, for their digests.
class DigestRun {
 public:
  DigestRun(HubSession& session, std::vector<Item>& items, const UploadHooks& hooks)
      : session_(session), items_(items), hooks_(hooks) {
    for (const auto& item : items) total_ += item.file.size;
  }

  Status run() {
    const size_t count =
        std::min({most_readers, items_.size(), size_t{std::max(1U, std::thread::hardware_concurrency())}});
    std::vector<std::thread> readers;
    for (size_t i = 0; i < count; ++i) readers.emplace_back([this] { read_some(); });
    while (done_ < items_.size() && !is_ending()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      show_progress();
    }
    for (auto& reader : readers) reader.join();
    if (error_) return tl::unexpected<Error>(std::move(*error_));
    return {};
  }

 private:
  void read_some() {
    for (size_t i = next_++; i < items_.size() && !is_ending(); i = next_++) {
      Item& item = items_[i];
      const auto id = digest_of(item);
      if (id) {
        item.content_id = *id;
        bytes_ += item.file.size;
        ++done_;
        continue;
      }
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = id.error();
    }
  }

  Result<std::string> digest_of(const Item& item) {
    PIPPIN_TRY(const DiskFile file, open_to_upload(item.file));
    return content_id_of(file.number(), item.file.size, item.is_large ? like_sha256 : like_git_id,
                         printable(item.file.name), [this] { return is_ending(); });
  }

  bool is_ending() {
    const std::lock_guard lock(mutex_);
    if (!error_ && session_.is_stopped()) error_ = Error{ErrorTag::interrupted, "", "interrupted", "run it again", {}};
    return error_.has_value();
  }

  void show_progress() {
    const auto now = std::chrono::steady_clock::now();
    if (!hooks_.progress || now - shown_ < progress_every) return;
    shown_ = now;
    hooks_.progress({UploadProgress::Stage::reading, bytes_, total_, done_, items_.size(), {}});
  }

  HubSession& session_;
  std::vector<Item>& items_;
  const UploadHooks& hooks_;
  std::atomic<size_t> next_{0};
  std::atomic<size_t> done_{0};
  std::atomic<uint64_t> bytes_{0};
  uint64_t total_ = 0;
  std::mutex mutex_;
  std::optional<Error> error_;
  std::chrono::steady_clock::time_point shown_{};
};

// Large files that the branch lacks, each content once.
std::vector<SendItem> to_send(const std::vector<Item>& items) {
  std::vector<SendItem> sending;
  std::set<std::string> contents;
  for (const auto& item : items) {
    if (item.is_large && !item.is_there() && contents.insert(item.content_id).second)
      sending.push_back({item.file, {item.content_id, item.file.size}});
  }
  return sending;
}

Result<CommitLines> lines_of(const std::vector<Item>& items, const std::string& message, const std::string& parent) {
  CommitLines lines(message, parent);
  for (const auto& item : items) {
    if (item.is_there()) continue;
    if (item.is_large) {
      lines.add_large(item.file.name, {item.content_id, item.file.size});
      continue;
    }
    PIPPIN_TRY(const std::string content, begin_of(item.file, item.file.size));
    lines.add_small(item.file.name, content);
  }
  return lines;
}

bool all_there(const std::vector<Item>& items) {
  return std::ranges::all_of(items, [](const Item& item) { return item.is_there(); });
}

// What a commit has of the files.
Status look_up(HubSession& session, const std::string& repo, const std::string& commit, std::vector<Item>& items) {
  PIPPIN_TRY(const auto files, files_of(session, repo, commit));
  for (auto& item : items) {
    const auto found = std::ranges::lower_bound(files, item.file.name, {}, &RepoFile::name);
    const bool is_there = found != files.end() && found->name == item.file.name;
    item.id_there = is_there ? found->content_id() : std::string();
  }
  return {};
}

// The commit. Each names the branch's head that it follows, so that none is made twice: when an answer is lost, or
// somebody else was faster, the branch is looked at again.
Status commit(HubSession& session, const UploadOptions& options, const CommitTarget& target, std::vector<Item>& items,
              UploadReport& report) {
  const std::string message = options.message.empty() ? "Upload with pippin" : options.message;
  if (all_there(items)) return {};
  std::optional<Error> last;
  for (int tries = 1; tries <= most_commits; ++tries) {
    PIPPIN_TRY(const CommitLines lines, lines_of(items, message, report.commit));
    auto done = send_commit(session, target, lines);
    if (done) {
      report.commit = done->commit;
      report.committed = true;
      report.pull_request = !done->pull_request.empty();
      if (report.pull_request) report.url = done->pull_request;
      return {};
    }
    last = std::move(done.error().error);
    const CommitTrouble trouble = done.error().trouble;
    if (trouble == CommitTrouble::final) break;
    if (trouble == CommitTrouble::unknown && target.as_pull_request) {
      last->way_out = "the pull request may be there all the same: look at the repository's page before another try";
      break;
    }
    if (trouble == CommitTrouble::unknown) {
      if (auto error = session.wait_after(tries, HttpFault{*last, true, false}))
        return tl::unexpected<Error>(std::move(*error));
    }
    const std::string before = report.commit;
    PIPPIN_TRY(report.commit, commit_of(session, options.repo, options.revision));
    PIPPIN_CHECK(look_up(session, options.repo, report.commit, items));
    report.committed = report.commit != before;
    if (all_there(items)) return {};
  }
  return tl::unexpected<Error>(std::move(*last));
}

UploadReport report_of(const UploadOptions& options, const HubSession& session, const std::vector<Item>& items) {
  UploadReport report;
  report.repo = options.repo;
  report.revision = options.revision;
  report.url = session.settings().endpoint + "/" + options.repo;
  for (const auto& item : items) {
    report.files.push_back({item.file.name, item.file.size, false});
    report.bytes += item.file.size;
  }
  return report;
}

// Two names on the Hub that differ in case only are one.
bool is_same_name(const std::string& one, const std::string& other) {
  return std::ranges::equal(
      one, other, {}, [](unsigned char c) { return std::tolower(c); }, [](unsigned char c) { return std::tolower(c); });
}

// Files that the Hub wants none of go no further.
void drop_ignored(std::vector<Item>& items, std::vector<std::string>& left_out) {
  for (const auto& item : items) {
    if (item.ignored) left_out.push_back(printable(item.file.name));
  }
  std::erase_if(items, [](const Item& item) { return item.ignored; });
}

}  // namespace

Result<UploadReport> upload_with(HubSession& session, const UploadOptions& options, const UploadHooks& hooks) {
  const auto begin = std::chrono::steady_clock::now();
  PIPPIN_CHECK(check_names(session, options));
  PIPPIN_TRY(FolderFiles folder, files_to_upload(options.folder, session.settings().token));
  std::vector<Item> items;
  for (auto& file : folder.files) items.push_back({std::move(file), false, false, {}, {}});
  PIPPIN_CHECK(check_card_of(session, items));

  const CommitTarget target{options.repo, options.revision, options.as_pull_request};
  PIPPIN_TRY(const bool created, prepare(session, options));
  PIPPIN_TRY(std::string head, head_of(session, options));
  PIPPIN_CHECK(sort_by_kind(session, target, items));
  drop_ignored(items, folder.left_out);
  PIPPIN_CHECK(look_up(session, options.repo, head, items));
  PIPPIN_CHECK(DigestRun(session, items, hooks).run());

  UploadReport report = report_of(options, session, items);
  report.created = created;
  report.left_out = std::move(folder.left_out);
  report.commit = std::move(head);
  std::set<std::string> sent;
  for (const auto& item : items) {
    if (!item.is_large && !item.is_there()) sent.insert(item.file.name);
  }
  PIPPIN_TRY(const SendReport large, send_large(session, target, to_send(items), options.connections, hooks.progress));
  sent.insert(large.names.begin(), large.names.end());
  report.bytes_sent = large.bytes;
  for (auto& file : report.files) file.sent = sent.contains(file.name);
  for (const auto& item : items) {
    if (!item.is_large && !item.is_there()) report.bytes_sent += item.file.size;
  }
  PIPPIN_CHECK(commit(session, options, target, items, report));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

Status check_upload_with(HubSession& session, const UploadOptions& options) {
  PIPPIN_CHECK(check_names(session, options));
  PIPPIN_TRY(const auto state, state_of_repo(session, options.repo));
  if (state) {
    PIPPIN_CHECK(check_privacy(options, *state));
    return options.as_pull_request ? Status() : check_write_access(session, options.repo);
  }
  PIPPIN_TRY(const HubUser user, user_of_token(session));
  const std::string owner = options.repo.substr(0, options.repo.find('/'));
  const auto denied = [&](const std::string& value) {
    return fail(
        ErrorTag::denied, "the token may make the repository", value,
        fmt::format("the token comes from {}; another one goes into HF_TOKEN", session.settings().token_origin));
  };
  if (user.role == "read") return denied(fmt::format("{}: the token of {} may only read", options.repo, user.name));
  const auto is_owner = [&](const std::string& name) { return is_same_name(name, owner); };
  const bool is_member = is_owner(user.name) || std::ranges::any_of(user.organisations, is_owner);
  if (!is_member) return denied(fmt::format("{} is not in {}", user.name, owner));
  return {};
}

}  // namespace pippin
