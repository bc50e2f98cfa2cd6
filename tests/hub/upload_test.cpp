// Uploads to the stand-in: what is in the repository afterwards, what went over the network, and what never does.
#include "hub/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <mutex>

#include "hub/access_case.h"
#include "hub/download.h"
#include "hub/stand_in.h"
#include "hub/upload_api.h"
#include "hub/upload_folder.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string repo = "org/new";
const std::string token = "hf_good";

// A folder with small files, an empty one, a folder in it, and three large files of 300, 250 and 200 kB.
class Upload : public testing::Test {
 protected:
  void begin(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"--token", token, "--read-token", "hf_reader"});
    hub_ = std::make_unique<StandIn>(std::move(arguments));
    files_ = {{"README.md", "---\nlibrary_name: mlx\n---\n# A model\n"},
              {"config.json", R"({"model_type": "llama"})"},
              {"empty.txt", ""},
              {"sub/100% #1 \xC3\xA9.json", "[]"},
              {"model-1.safetensors", noise(300000, 1)},
              {"model-2.safetensors", noise(250000, 2)},
              {"model-3.safetensors", noise(200000, 3)}};
    for (const auto& [name, content] : files_) static_cast<void>(folder_.write(name, content));
  }

  Result<UploadReport> run(UploadOptions options = {}, const std::string& with = token, UploadHooks hooks = {}) {
    if (options.repo.empty()) options.repo = repo;
    if (options.folder.empty()) options.folder = folder_.path();
    HubSession session(hub_->settings(with), {hooks.cancelled, [this](double seconds) {
                                                const std::lock_guard lock(mutex_);
                                                waits_.push_back(seconds);
                                                return true;
                                              }});
    return upload_with(session, options, hooks);
  }

  [[nodiscard]] fs::path in_repo(const std::string& name, const std::string& branch = {}) const {
    return hub_->folder() / "repos" / (repo + (branch.empty() ? "" : "@" + branch)) / name;
  }

  void expect_there(const Result<UploadReport>& report, const std::string& branch = {}) {
    ASSERT_TRUE(report) << report.error().message();
    for (const auto& [name, content] : files_) EXPECT_EQ(content_of(in_repo(name, branch)), content) << name;
    EXPECT_EQ(hub_->leaked_tokens(), 0) << "the token went to the storage host";
  }

  [[nodiscard]] int count(const std::string& route) const {
    int rows = 0;
    for (const auto& row : hub_->log()) rows += row.at("route") == route ? 1 : 0;
    return rows;
  }

  // Bytes that the storage host got.
  [[nodiscard]] uint64_t received() const {
    uint64_t bytes = 0;
    for (const auto& row : hub_->log()) {
      const auto route = row.at("route").get<std::string>();
      if (route == "upload" || route == "upload part") bytes += row.at("received").get<uint64_t>();
    }
    return bytes;
  }

  std::unique_ptr<StandIn> hub_;
  TemporaryFolder folder_;
  std::map<std::string, std::string> files_;
  std::mutex mutex_;
  std::vector<double> waits_;
};

TEST_F(Upload, ANewRepositoryHasTheFolder) {
  begin();
  const auto report = run();
  expect_there(report);
  EXPECT_TRUE(report->created && report->committed);
  EXPECT_THAT(report->url, EndsWith("/org/new"));
  EXPECT_EQ(received(), 750000U);
  EXPECT_EQ(report->bytes, report->bytes_sent);
  EXPECT_EQ(count("commit"), 1);
  EXPECT_THAT(report->left_out, IsEmpty());

  HubSession session(hub_->settings(token));
  DownloadOptions download;
  download.repo = repo;
  const auto back = download_with(session, download, {});
  ASSERT_TRUE(back);
  EXPECT_EQ(back->commit, report->commit);
  for (const auto& [name, content] : files_) EXPECT_EQ(content_of(back->folder / name), content) << name;
}

TEST_F(Upload, APrivateOneIsPrivateFromTheBegin) {
  begin({"--private", "org/hidden"});
  UploadOptions options;
  options.is_private = true;
  expect_there(run(options));
  HubSession session(hub_->settings(token));
  EXPECT_TRUE((*state_of_repo(session, repo))->is_private);
  HubSession nobody(hub_->settings());
  EXPECT_FALSE(state_of_repo(nobody, repo)->has_value());

  hub_->add("org/open", "config.json", "{}");
  options.repo = "org/open";
  const auto open = run(options);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().tag, ErrorTag::denied);
  EXPECT_THAT(open.error().message(), HasSubstr("public"));
}

TEST_F(Upload, OnlyWhatTheBranchLacksIsSentAndTheRestStays) {
  begin();
  ASSERT_TRUE(run());
  const uint64_t before = received();
  const auto same = run();
  expect_there(same);
  EXPECT_FALSE(same->created || same->committed);
  EXPECT_EQ(same->bytes_sent, 0U);
  EXPECT_EQ(count("commit"), 1) << "nothing changed, so nothing is committed";

  files_["config.json"] = "{}";
  files_["model-2.safetensors"] = noise(1000, 9);
  for (const auto* name : {"config.json", "model-2.safetensors"})
    static_cast<void>(folder_.write(name, files_.at(name)));
  hub_->add(repo, "other.txt", "of somebody else");
  const auto changed = run();
  expect_there(changed);
  EXPECT_EQ(received() - before, 1000U);
  EXPECT_EQ(changed->bytes_sent, 1002U);
  EXPECT_EQ(content_of(in_repo("other.txt")), "of somebody else");
}

TEST_F(Upload, BrokenOffItGoesOnWithWhatWasNotWhole) {
  begin();
  UploadOptions options;
  options.connections = 1;
  hub_->set_faults(R"([{"kind":"error","status":400,"scope":"upload","every":3}])");
  const auto broken = run(options);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().tag, ErrorTag::network);
  EXPECT_FALSE(fs::exists(in_repo("config.json"))) << "before the commit nobody sees anything";
  hub_->set_faults("[]");
  const uint64_t before = received();
  const auto second = run(options);
  expect_there(second);
  EXPECT_EQ(received() - before, 200000U);
  EXPECT_EQ(count("commit"), 1);
}

TEST_F(Upload, CancelledInTheMiddle) {
  begin();
  hub_->set_faults(R"([{"kind":"slow","rate":300000,"scope":"upload"}])");
  std::atomic<bool> cancelled{false};
  UploadHooks hooks;
  hooks.cancelled = &cancelled;
  hooks.progress = [&](const UploadProgress& progress) {
    cancelled = cancelled || (progress.stage == UploadProgress::Stage::sending && progress.done > 0);
  };
  EXPECT_EQ(run({}, token, hooks).error().tag, ErrorTag::interrupted);
  EXPECT_EQ(count("commit"), 0);
  hub_->set_faults("[]");
  expect_there(run());
}

TEST_F(Upload, LargeFilesGoInParts) {
  begin({"--part-size", "70000"});
  uint64_t most = 0;
  UploadHooks hooks;
  hooks.progress = [&](const UploadProgress& progress) {
    if (progress.stage == UploadProgress::Stage::sending) most = std::max(most, progress.done);
  };
  expect_there(run({}, token, hooks));
  EXPECT_EQ(count("upload part"), 5 + 4 + 3);
  EXPECT_EQ(count("complete multipart"), 3);
  EXPECT_EQ(received(), 750000U);
  EXPECT_EQ(most, 750000U);
  // The link that joins the parts is signed: it gets no token, though it is one of the Hub.
  for (const auto& row : hub_->log()) {
    if (row.at("route") == "complete multipart") {
      EXPECT_TRUE(row.at("auth").is_null()) << row;
    }
  }
}

TEST_F(Upload, ThroughAMirror) {
  begin({"--part-size", "70000", "--public-endpoint", "https://huggingface.co"});
  expect_there(run());
}

TEST_F(Upload, ManyFilesAreAskedForInSeveralQuestions) {
  begin();
  for (int i = 0; i < 300; ++i) {
    const std::string name = "many/" + std::to_string(i) + ".safetensors";
    files_[name] = "weights " + std::to_string(i);
    static_cast<void>(folder_.write(name, files_[name]));
  }
  expect_there(run());
  EXPECT_EQ(count("preupload"), 2);
  EXPECT_EQ(count("lfs batch"), 4);
  EXPECT_EQ(count("commit"), 1);
}

TEST_F(Upload, APullRequestLeavesTheBranchAsItIs) {
  begin();
  hub_->add(repo, "config.json", "old");
  UploadOptions options;
  options.as_pull_request = true;
  const auto report = run(options);
  expect_there(report, "refs%2Fpr%2F1");
  EXPECT_TRUE(report->pull_request);
  EXPECT_THAT(report->url, EndsWith("/org/new/discussions/1"));
  EXPECT_EQ(content_of(in_repo("config.json")), "old");
}

TEST_F(Upload, AnAnswerThatIsLostMakesNoSecondPullRequest) {
  begin();
  hub_->add(repo, "config.json", "old");
  hub_->set_faults(R"([{"kind":"lose-answer","match":"*/commit/*","max":1}])");
  UploadOptions options;
  options.as_pull_request = true;
  const auto report = run(options);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().way_out, HasSubstr("pull request"));
  EXPECT_EQ(count("commit"), 1);
}

TEST_F(Upload, ABranchIsMadeWhereItIsMissing) {
  begin();
  hub_->add(repo, "config.json", "old");
  UploadOptions options;
  options.revision = "4bit/v1";
  expect_there(run(options), "4bit%2Fv1");
  EXPECT_EQ(content_of(in_repo("config.json")), "old");
  options.revision = std::string(40, 'a');
  EXPECT_EQ(run(options).error().tag, ErrorTag::usage);
}

TEST_F(Upload, SomebodyElseCommitsMeanwhile) {
  begin();
  UploadHooks hooks;
  hooks.progress = [&](const UploadProgress& progress) {
    if (progress.stage == UploadProgress::Stage::sending && progress.files_done == progress.files)
      hub_->add(repo, "other.txt", "of somebody else");
  };
  expect_there(run({}, token, hooks));
  EXPECT_EQ(content_of(in_repo("other.txt")), "of somebody else");
  EXPECT_EQ(count("commit"), 2) << "the first one is refused";
}

TEST_F(Upload, ABadCardIsToldBeforeAnythingIsMade) {
  begin();
  static_cast<void>(folder_.write("README.md", "---\nlicense mit\n---\n"));
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().tag, ErrorTag::bad_config);
  EXPECT_FALSE(fs::exists(in_repo("")));
}

// ---- what the network does

struct FaultCase {
  const char* name;
  const char* faults;
};

void PrintTo(const FaultCase& one, std::ostream* out) {
  *out << one.name;
}

class UploadFaults : public Upload, public testing::WithParamInterface<FaultCase> {};

TEST_P(UploadFaults, AreOvercomeWithOneCommit) {
  begin({"--part-size", "120000"});
  hub_->set_faults(GetParam().faults);
  const auto report = run();
  expect_there(report);
  EXPECT_TRUE(hub_->all_faults_fired());
  hub_->set_faults("[]");
  HubSession session(hub_->settings(token));
  HttpRequest request;
  request.url = hub_->settings().endpoint + "/api/models/org/new/commits/main";
  const auto history = nlohmann::json::parse(session.ask(request)->body);
  EXPECT_EQ(history.size(), 2U) << "the first commit of a new repository, and ours";
  EXPECT_EQ(history.at(0).at("id"), report->commit);
  EXPECT_TRUE(report->committed);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, UploadFaults,
    testing::Values(
        FaultCase{"every_second_cut", R"([{"kind":"drop","every":2,"after":30000,"scope":"upload"}])"},
        FaultCase{"every_third_reset", R"([{"kind":"drop","every":3,"after":10000,"reset":1,"scope":"upload"}])"},
        FaultCase{"burst_of_500", R"([{"kind":"error","max":4}])"},
        FaultCase{"burst_of_503_of_storage", R"([{"kind":"error","status":503,"max":4,"scope":"upload"}])"},
        FaultCase{"burst_of_429", R"([{"kind":"rate-limit","max":4,"style":"both"}])"},
        FaultCase{"429_of_the_commit", R"([{"kind":"rate-limit","max":2,"match":"*/commit/*"}])"},
        FaultCase{"500_of_the_commit", R"([{"kind":"error","max":2,"match":"*/commit/*"}])"},
        FaultCase{"answer_to_the_commit_lost", R"([{"kind":"lose-answer","max":1,"match":"*/commit/*"}])"},
        FaultCase{"answer_of_storage_lost", R"([{"kind":"lose-answer","max":3,"scope":"upload"}])"},
        FaultCase{"answer_to_the_joining_lost", R"([{"kind":"lose-answer","max":1,"match":"*/complete_multipart*"}])"},
        FaultCase{"repository_made_answer_lost", R"([{"kind":"lose-answer","max":1,"match":"*/repos/create"}])"},
        FaultCase{"expired_links", R"([{"kind":"error","status":403,"scope":"upload","every":4,"max":3}])"},
        FaultCase{"slow", R"([{"kind":"slow","rate":2000000,"scope":"upload"}])"}),
    [](const auto& one) { return one.param.name; });

TEST_F(Upload, TheHubSaysHowLongToWait) {
  begin();
  hub_->set_faults(R"([{"kind":"rate-limit","max":1,"retry_after":7,"scope":"upload"}])");
  expect_there(run());
  EXPECT_THAT(waits_, ElementsAre(8));
}

// ---- who may what

class UploadAccess : public Upload, public testing::WithParamInterface<AccessCase> {};

TEST_P(UploadAccess, IsToldWithTheWayOut) {
  begin();
  hub_->add("org/there", "config.json", "{}");
  UploadOptions options;
  options.repo = GetParam().repo;
  HubSession session(hub_->settings(GetParam().token));
  const auto checked = check_upload_with(session, options);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().tag, GetParam().tag);
  const auto report = run(options, GetParam().token);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().tag, GetParam().tag);
  EXPECT_THAT(report.error().message(), HasSubstr(GetParam().says));
  EXPECT_FALSE(report.error().way_out.empty());
  if (*GetParam().token != '\0') {
    EXPECT_THAT(report.error().message(), Not(HasSubstr(GetParam().token)));
  }
  EXPECT_EQ(received(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, UploadAccess,
    testing::Values(AccessCase{"no_token", "org/there", "", ErrorTag::denied, "HF_TOKEN"},
                    AccessCase{"reader_of_it", "org/there", "hf_reader", ErrorTag::denied, "right"},
                    AccessCase{"reader_makes_one", "org/none", "hf_reader", ErrorTag::denied, "right"},
                    AccessCase{"bad_token", "org/there", "hf_stolen", ErrorTag::denied, "does not accept the token"},
                    AccessCase{"no_name", "org/../x", "hf_good", ErrorTag::usage, "org/name"},
                    AccessCase{"no_owner", "model", "hf_good", ErrorTag::usage, "org/name"}),
    [](const auto& one) { return one.param.name; });

// ---- what is uploaded

TEST_F(Upload, AFolderThatIsNone) {
  begin();
  UploadOptions options;
  options.folder = folder_.path() / "none";
  EXPECT_EQ(run(options).error().tag, ErrorTag::not_found);
  options.folder = folder_.path() / "config.json";
  EXPECT_EQ(run(options).error().tag, ErrorTag::usage);
  const TemporaryFolder empty;
  options.folder = empty.path();
  EXPECT_EQ(run(options).error().tag, ErrorTag::not_found);
  EXPECT_EQ(hub_->requests(), 0U);
}

TEST_F(Upload, HiddenAndUnfinishedFilesStayBehind) {
  begin();
  for (const auto* name : {".git/config", ".cache/huggingface/download/a.metadata", "sub/.DS_Store", ".env",
                           "model-4.safetensors.incomplete", "model-5.safetensors.part"})
    static_cast<void>(folder_.write(name, "secret"));
  fs::create_symlink("config.json", folder_.path() / "link.json");
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message();
  expect_there(report);
  EXPECT_EQ(content_of(in_repo("link.json")), files_["config.json"]);
  EXPECT_FALSE(fs::is_symlink(in_repo("link.json")));
  EXPECT_EQ(report->files.size(), files_.size() + 1);
  EXPECT_THAT(report->left_out, ElementsAre(".cache", ".env", ".git", "model-4.safetensors.incomplete",
                                            "model-5.safetensors.part", "sub/.DS_Store"));
  for (const auto& left : report->left_out) EXPECT_FALSE(fs::exists(in_repo(left))) << left;
}

TEST(FilesToUpload, WhatMustNotGoAlongIsRefused) {
  const std::string secret = "hf_my_own";
  const std::string another = "hf_" + std::string(34, 'x');
  const std::vector<std::pair<std::string, std::string>> cases{
      {"a\\b.json", "{}"},    {"a\nb.json", "{}"},      {"a\xFF.json", "{}"},           {"key-" + secret, "{}"},
      {another + ".txt", ""}, {"token", secret + "\n"}, {"notes.txt", "is " + another}, {"c:x.json", "{}"}};
  for (const auto& [name, content] : cases) {
    const TemporaryFolder folder;
    static_cast<void>(folder.write("config.json", "{}"));
    static_cast<void>(folder.write(name, content));
    const auto found = files_to_upload(folder.path(), secret);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().tag, ErrorTag::usage) << name;
    EXPECT_THAT(found.error().details, testing::SizeIs(1)) << name;
    EXPECT_THAT(found.error().message(), Not(HasSubstr(secret)));
    EXPECT_THAT(found.error().message(), Not(HasSubstr(another)));
  }
}

TEST(FilesToUpload, LinksStayInsideTheFolder) {
  const TemporaryFolder outside;
  const auto target = outside.write("passwords.txt", "secret");
  for (const auto& to : {target, outside.path(), fs::path("none.json"), fs::path("/dev/null"), fs::path(".env"),
                         fs::path("sub"), fs::path("../" + outside.path().filename().string() + "/passwords.txt")}) {
    const TemporaryFolder folder;
    static_cast<void>(folder.write("sub/config.json", "{}"));
    static_cast<void>(folder.write(".env", "secret"));
    fs::create_symlink(to, folder.path() / "link.txt");
    const auto found = files_to_upload(folder.path(), "");
    ASSERT_FALSE(found) << to;
    EXPECT_THAT(found.error().details, ElementsAre(HasSubstr("link.txt is a link")));
  }
}

TEST(FilesToUpload, WordsThatOnlyLookLikeTokens) {
  const TemporaryFolder folder;
  static_cast<void>(folder.write("README.md", "HF_TOKEN=hf_xxx; hf_transfer; " + std::string(40, 'a')));
  EXPECT_TRUE(files_to_upload(folder.path(), ""));
}

}  // namespace
}  // namespace pippin
