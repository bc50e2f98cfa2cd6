// The Hub's questions and answers of an upload. What the Hub says is untrusted; links it gives are checked before use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hub/hub_session.h"
#include "pippin/error.h"

namespace pippin {

struct RepoState {
  bool is_private = false;
};

// Nothing where the repository is missing (or hidden from this token).
Result<std::optional<RepoState>> state_of_repo(HubSession& session, const std::string& repo);

// Whether the token may write to a repository that is there. Mirrors that do not know the question say yes.
Status check_write_access(HubSession& session, const std::string& repo);

// One that is there already is fine.
Status create_repo(HubSession& session, const std::string& repo, bool is_private);
Status create_branch(HubSession& session, const std::string& repo, const std::string& branch);

// Whether the front matter of a model card is one. An error (bad_config) with the Hub's own words.
Status check_card(HubSession& session, const std::string& text);

// A branch, or a pull request to it.
struct CommitTarget {
  std::string repo;
  std::string revision;
  bool as_pull_request = false;
};

struct PreuploadFile {
  std::string name;
  uint64_t size;
  std::string sample;  // its first 512 bytes
};

struct PreuploadAnswer {
  bool is_large = false;  // goes to the storage host
  bool ignored = false;
};

// How each file is to be sent, in the order of `files`; at most 256 in one question, more are asked in several.
Result<std::vector<PreuploadAnswer>> ask_preupload(HubSession& session, const CommitTarget& target,
                                                   const std::vector<PreuploadFile>& files);

struct LargeObject {
  std::string sha256;
  uint64_t size;
};

// How an object is sent: whole to parts[0], or in parts of part_size, and then told to `complete`.
struct UploadPlan {
  bool is_there = false;  // the Hub has it
  std::vector<std::string> parts;
  uint64_t part_size = 0;
  std::string complete;  // empty: not in parts
  std::string verify;    // empty: not asked for
};

// What the Hub says about one object: links are http or https and do not lead from https to http, the parts hold all of
// it, and there are at most 10,000.
Result<UploadPlan> parse_upload_plan(std::string_view json, const LargeObject& object, const std::string& endpoint);

// In the order of `objects`, which are at most 100.
Result<std::vector<UploadPlan>> ask_upload_plans(HubSession& session, const CommitTarget& target,
                                                 const std::vector<LargeObject>& objects);

// etags: of the parts, in their order. False where the Hub knows of no such upload: its time is over, or it is complete
// already and the answer was lost.
Result<bool> complete_upload(HubSession& session, const UploadPlan& plan, const LargeObject& object,
                             const std::vector<std::string>& etags);
Status verify_upload(HubSession& session, const UploadPlan& plan, const LargeObject& object);

// The lines of a commit, one JSON each.
class CommitLines {
 public:
  CommitLines(const std::string& message, const std::string& parent);
  void add_small(const std::string& name, const std::string& content);
  void add_large(const std::string& name, const LargeObject& object);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct CommitAnswer {
  std::string commit;
  std::string pull_request;  // its address
};

enum class CommitTrouble : uint8_t {
  final,   // no commit was made
  moved,   // the branch is not what it was any more
  unknown  // the answer was lost: it may have been made
};

struct CommitFailure {
  CommitTrouble trouble;
  Error error;
};

// Sent once; only a server that is busy (429) is asked again.
tl::expected<CommitAnswer, CommitFailure> send_commit(HubSession& session, const CommitTarget& target,
                                                      const CommitLines& lines);

}  // namespace pippin
