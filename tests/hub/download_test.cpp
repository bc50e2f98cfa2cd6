// Downloads from the stand-in: the cache that comes out, and that nothing the network does spoils it.
#include "hub/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "hub/access_case.h"
#include "hub/cache_scan.h"
#include "hub/disk_file.h"
#include "hub/hub_api.h"
#include "hub/remote_file.h"
#include "hub/stand_in.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr uint64_t piece = 64 << 10;
const std::string repo = "org/model";
const std::string readme_id = "b45ef6fec89518d314f546fd6c3025367b721684";  // git's id of "Hello, World!"

// A repository with small files, an empty one, a folder, and two large ones of five and seven pieces.
class Download : public testing::Test {
 protected:
  void begin(std::vector<std::string> arguments = {}) {
    hub_ = std::make_unique<StandIn>(std::move(arguments));
    files_ = {{"README.md", "Hello, World!"},
              {"config.json", R"({"model_type": "llama"})"},
              {"empty.txt", ""},
              {"sub/dir.json", "[]"},
              {"model-1.safetensors", noise(5 * piece, 1)},
              {"model-2.safetensors", noise(7 * piece - 1000, 2)}};
    for (const auto& [name, content] : files_) hub_->add(repo, name, content);
  }

  Result<DownloadReport> run(DownloadOptions options = {}, const std::string& token = {},
                             const DownloadHooks& hooks = {}) {
    if (options.repo.empty()) options.repo = repo;
    HubSettings settings = hub_->settings(token);
    settings.silence_seconds = silence_seconds_;
    settings.offline = offline_;
    SessionOptions session_options{hooks.cancelled, [this](double seconds) {
                                     const std::lock_guard lock(mutex_);
                                     waits_.push_back(seconds);
                                     return true;
                                   }};
    HubSession session(settings, session_options);
    return download_with(session, options, hooks, piece);
  }

  // The snapshot has all files, and the cache nothing that is not whole.
  void expect_whole(const Result<DownloadReport>& report) {
    ASSERT_TRUE(report) << report.error().message();
    for (const auto& [name, content] : files_) EXPECT_EQ(content_of(report->folder / name), content) << name;
    expect_sound();
    for (const auto& entry : fs::directory_iterator(repo_folder() / "blobs"))
      EXPECT_THAT(entry.path().string(), Not(HasSubstr("incomplete")));
  }

  // Whatever is under a blob's name is that blob, and no link leads nowhere.
  void expect_sound() {
    const auto check = check_cache(hub_->cache(), {}, {});
    ASSERT_TRUE(check);
    for (const auto& fault : check->faults) ADD_FAILURE() << fault.file << " " << fault.what;
  }

  [[nodiscard]] fs::path repo_folder() const { return hub_->cache() / "models--org--model"; }
  [[nodiscard]] uint64_t size() const {
    uint64_t bytes = 0;
    for (const auto& [name, content] : files_) bytes += content.size();
    return bytes;
  }

  std::unique_ptr<StandIn> hub_;
  std::map<std::string, std::string> files_;
  std::mutex mutex_;
  std::vector<double> waits_;
  long silence_seconds_ = 10;
  bool offline_ = false;
};

TEST_F(Download, TheCacheIsThatOfTheOfficialClient) {
  begin();
  const auto report = run();
  expect_whole(report);
  EXPECT_EQ(report->bytes_fetched, size());
  EXPECT_EQ(content_of(repo_folder() / "refs/main"), report->commit);
  EXPECT_EQ(report->folder, repo_folder() / "snapshots" / report->commit);
  EXPECT_EQ(fs::read_symlink(report->folder / "README.md"), "../../blobs/" + readme_id);
  EXPECT_THAT(fs::read_symlink(report->folder / "sub/dir.json").string(), testing::StartsWith("../../../blobs/"));
  const auto large = fs::read_symlink(report->folder / "model-1.safetensors").filename().string();
  EXPECT_EQ(large.size(), 64U);
  EXPECT_TRUE(fs::exists(hub_->cache() / ".locks/models--org--model" / (large + ".lock")));
  EXPECT_TRUE(fs::exists(hub_->cache() / "CACHEDIR.TAG"));
  const auto tree = nlohmann::json::parse(content_of(repo_folder() / "trees" / (report->commit + ".json")));
  EXPECT_EQ(tree.at("format_version"), 1);
  EXPECT_EQ(tree.at("files").at("model-1.safetensors").at("lfs_sha256"), large);
  EXPECT_EQ(tree.at("files").at("README.md").at("blob_id"), readme_id);
}

TEST_F(Download, ASecondRunAsksOnlyWhetherTheBranchHasMoved) {
  begin();
  const auto first = run();
  const size_t requests = hub_->requests();
  const auto second = run();
  expect_whole(second);
  EXPECT_EQ(second->bytes_fetched, 0U);
  EXPECT_EQ(hub_->requests(), requests + 1);
  DownloadOptions options;
  options.revision = first->commit;
  expect_whole(run(options));
  EXPECT_EQ(hub_->requests(), requests + 1) << "what is known of a commit never changes";
}

TEST_F(Download, AMovedBranchSharesWhatStayed) {
  begin();
  const auto first = run();
  files_["config.json"] = "{}";
  hub_->add(repo, "config.json", "{}");
  const auto second = run();
  expect_whole(second);
  EXPECT_NE(second->commit, first->commit);
  EXPECT_EQ(second->bytes_fetched, 2U);
}

TEST_F(Download, NamesAndPatterns) {
  begin();
  hub_->add(repo + "@v1%2Fx", "old.json", "1");
  DownloadOptions options;
  options.include = {"*.json"};
  options.exclude = {"sub/"};
  EXPECT_THAT(run(options)->files, ElementsAre(testing::Field(&DownloadedFile::name, "config.json")));
  options = {};
  options.files = {"empty.txt"};
  EXPECT_EQ(run(options)->files.size(), 1U);
  options.files = {"none.txt"};
  EXPECT_EQ(run(options).error().tag, ErrorTag::not_found);
  options = {};
  options.revision = "v1/x";
  EXPECT_TRUE(fs::exists(run(options)->folder / "old.json"));
  EXPECT_TRUE(fs::exists(repo_folder() / "refs/v1/x"));
}

TEST_F(Download, ListsComeInPagesAndByAMirror) {
  begin({"--page-size", "2", "--public-endpoint", "https://huggingface.co"});
  expect_whole(run());
}

TEST_F(Download, AFolderOfTheUsersOwn) {
  begin();
  DownloadOptions options;
  options.local_dir = hub_->folder() / "mine";
  const auto first = run(options);
  ASSERT_TRUE(first);
  for (const auto& [name, content] : files_) EXPECT_EQ(content_of(options.local_dir / name), content);
  EXPECT_FALSE(fs::is_symlink(options.local_dir / "README.md"));
  EXPECT_THAT(content_of(options.local_dir / ".cache/huggingface/download/README.md.metadata"),
              testing::StartsWith(first->commit + "\n" + readme_id + "\n"));
  EXPECT_EQ(run(options)->bytes_fetched, 0U);
  std::ofstream(options.local_dir / "config.json") << "changed";
  EXPECT_EQ(run(options)->bytes_fetched, files_["config.json"].size());
  EXPECT_EQ(content_of(options.local_dir / "config.json"), files_["config.json"]);
}

// ---- what the network does

struct FaultCase {
  const char* name;
  const char* faults;
};

void PrintTo(const FaultCase& one, std::ostream* out) {
  *out << one.name;
}

class Faults : public Download, public testing::WithParamInterface<FaultCase> {};

TEST_P(Faults, AreOvercome) {
  begin({"--token", "secret"});
  silence_seconds_ = 1;
  hub_->set_faults(GetParam().faults);
  expect_whole(run({}, "secret"));
  EXPECT_EQ(hub_->leaked_tokens(), 0) << "the token went to the storage host";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Faults,
    testing::Values(FaultCase{"every_connection_cut", R"([{"kind":"drop","after":20000,"match":"*.safetensors"}])"},
                    FaultCase{"every_second_cut", R"([{"kind":"drop","every":2}])"},
                    FaultCase{"every_third_cut", R"([{"kind":"drop","every":3,"after":1}])"},
                    FaultCase{"every_fifth_reset", R"([{"kind":"drop","every":5,"after":30000,"reset":1}])"},
                    FaultCase{"short_bodies", R"([{"kind":"truncate","every":2}])"},
                    FaultCase{"some_wrong_bytes", R"([{"kind":"flip","every":7,"max":2}])"},
                    FaultCase{"burst_of_500", R"([{"kind":"error","max":4}])"},
                    FaultCase{"burst_of_503_of_storage", R"([{"kind":"error","status":503,"max":4,"scope":"cdn"}])"},
                    FaultCase{"burst_of_429", R"([{"kind":"rate-limit","max":4,"style":"both"}])"},
                    FaultCase{"expired_links", R"([{"kind":"error","status":403,"scope":"cdn","every":3}])"},
                    FaultCase{"no_ranges", R"([{"kind":"ignore-range"}])"},
                    FaultCase{"no_ranges_and_cuts",
                              R"([{"kind":"ignore-range"},{"kind":"drop","after":100000,"max":3,"scope":"cdn"}])"},
                    FaultCase{"silence", R"([{"kind":"stall","after":1000,"seconds":2.5,"max":2,"scope":"cdn"}])"},
                    FaultCase{"slow", R"([{"kind":"slow","rate":300000}])"}),
    [](const auto& one) { return one.param.name; });

TEST_F(Download, AServerWithoutRangesGivesTheRangeAllTheSame) {
  begin();
  hub_->set_faults(R"([{"kind":"ignore-range"}])");
  HubSession session(hub_->settings());
  const auto listing = list_repo(session, repo, "main");
  ASSERT_TRUE(listing);
  for (const auto& file : listing->files) {
    if (file.name != "model-1.safetensors") continue;
    RemoteFile remote(session, repo, listing->commit, file);
    std::string got;
    EXPECT_TRUE(remote.read(1000, 3000, [&](uint64_t offset, std::span<const std::byte> bytes) -> Status {
      EXPECT_EQ(offset, 1000 + got.size());
      got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    }));
    EXPECT_EQ(got, files_["model-1.safetensors"].substr(1000, 2000));
    EXPECT_EQ(remote.ranges(), RemoteFile::Ranges::ignored);
  }
}

TEST_F(Download, CutConnectionsAreTakenUpWhereTheyBroke) {
  begin();
  hub_->set_faults(R"([{"kind":"drop","after":20000,"match":"*.safetensors"}])");
  expect_whole(run());
  EXPECT_EQ(hub_->bytes_sent(), size());
}

TEST_F(Download, TheServerSaysHowLongToWait) {
  begin();
  hub_->set_faults(R"([{"kind":"rate-limit","retry_after":7,"max":1}])");
  ASSERT_TRUE(run());
  EXPECT_THAT(waits_, ElementsAre(8));
}

TEST_F(Download, GivesUpAfterFiveTriesAndKeepsWhatHasCome) {
  begin();
  DownloadOptions options;
  options.files = {"model-1.safetensors"};
  options.connections = 1;
  hub_->set_faults(R"([{"kind":"error","status":500,"scope":"cdn","every":1}])");
  EXPECT_EQ(run(options).error().tag, ErrorTag::network);
  EXPECT_THAT(waits_, ElementsAre(1, 2, 4, 8, 8));
  EXPECT_FALSE(fs::exists(repo_folder() / "refs/main")) << "only what is complete has a name";
  hub_->set_faults("[]");
  EXPECT_TRUE(run(options));
  expect_sound();
}

TEST_F(Download, WrongBytesAreNeverKept) {
  begin();
  hub_->set_faults(R"([{"kind":"flip","match":"model-1.safetensors"}])");
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().tag, ErrorTag::bad_file);
  EXPECT_THAT(report.error().message(), HasSubstr("model-1.safetensors"));
  expect_sound();
  hub_->set_faults("[]");
  expect_whole(run());
}

TEST_F(Download, InterruptedItGoesOnWhereItStopped) {
  begin();
  hub_->set_faults(R"([{"kind":"slow","rate":400000,"scope":"cdn"}])");
  std::atomic<bool> cancelled{false};
  DownloadHooks hooks;
  hooks.cancelled = &cancelled;
  hooks.progress = [&](const DownloadProgress& progress) { cancelled = cancelled || progress.done > 200000; };
  EXPECT_EQ(run({}, {}, hooks).error().tag, ErrorTag::interrupted);
  const auto cache = *scan_cache(hub_->cache());
  ASSERT_THAT(cache.repos, testing::SizeIs(1));
  EXPECT_GT(cache.repos[0].partial_bytes, 0U);
  expect_sound();
  hub_->set_faults("[]");
  const auto second = run();
  expect_whole(second);
  EXPECT_LT(second->bytes_fetched, size() - 150000);
}

TEST_F(Download, TwoAtTheSameTimeFetchOnce) {
  begin();
  hub_->set_faults(R"([{"kind":"slow","rate":600000,"scope":"cdn"}])");
  Result<DownloadReport> other;
  std::thread second([&] { other = run(); });
  const auto one = run();
  second.join();
  expect_whole(one);
  expect_whole(other);
  EXPECT_EQ(one->bytes_fetched + other->bytes_fetched, size());
}

TEST_F(Download, OfflineTakesWhatIsThere) {
  begin();
  offline_ = true;
  EXPECT_EQ(run().error().tag, ErrorTag::not_found);
  offline_ = false;
  ASSERT_TRUE(run());
  const size_t requests = hub_->requests();
  offline_ = true;
  expect_whole(run());
  EXPECT_EQ(hub_->requests(), requests);
  fs::remove(repo_folder() / "snapshots" / content_of(repo_folder() / "refs/main") / "config.json");
  const auto incomplete = run();
  ASSERT_FALSE(incomplete);
  EXPECT_THAT(incomplete.error().details, ElementsAre("missing config.json"));
}

TEST_F(Download, AHubThatCannotBeReachedIsForgivenWhereAllIsThere) {
  begin();
  ASSERT_TRUE(run());
  hub_->set_faults(R"([{"kind":"error","status":502}])");
  const auto report = run();
  expect_whole(report);
  EXPECT_TRUE(report->from_cache);
  EXPECT_THAT(report->warnings, testing::SizeIs(1));
}

// ---- who may what

class Access : public Download, public testing::WithParamInterface<AccessCase> {};

TEST_P(Access, IsToldApartWithTheWayOut) {
  begin({"--token", "good", "--outsider-token", "outside", "--gated", "org/gated", "--private", "org/secret"});
  hub_->add("org/gated", "config.json", "{}");
  hub_->add("org/secret", "config.json", "{}");
  DownloadOptions options;
  options.repo = GetParam().repo;
  if (std::string(GetParam().name) == "revision") options.revision = "v9";
  const auto report = run(options, GetParam().token);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().tag, GetParam().tag);
  EXPECT_THAT(report.error().message(), HasSubstr(GetParam().says));
  EXPECT_FALSE(report.error().way_out.empty());
  if (*GetParam().token != '\0') {
    EXPECT_THAT(report.error().message(), Not(HasSubstr(GetParam().token)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Access,
    testing::Values(AccessCase{"gated_without_token", "org/gated", "", ErrorTag::denied, "accept the terms"},
                    AccessCase{"gated_for_others", "org/gated", "outside", ErrorTag::denied, "ask for access"},
                    AccessCase{"hidden_or_missing", "org/secret", "", ErrorTag::not_found, "missing, private or gated"},
                    AccessCase{"not_yours", "org/secret", "outside", ErrorTag::not_found, "missing, or private"},
                    AccessCase{"missing", "org/none", "good", ErrorTag::not_found, "missing, or private"},
                    AccessCase{"bad_token", "org/model", "stolen", ErrorTag::denied, "does not accept the token"},
                    AccessCase{"revision", "org/model", "good", ErrorTag::not_found, "no revision \"v9\""},
                    AccessCase{"no_name", "org/../x", "", ErrorTag::usage, "org/name"}),
    [](const auto& one) { return one.param.name; });

TEST_F(Download, TheOwnerOfATokenSeesWhatIsHis) {
  begin({"--token", "good", "--gated", "org/model", "--private", "org/model"});
  expect_whole(run({}, "good"));
  EXPECT_EQ(hub_->leaked_tokens(), 0);
}

TEST_F(Download, WhoAmI) {
  begin({"--read-token", "mine"});
  HubSession session(hub_->settings("mine"));
  const auto user = user_of_token(session);
  ASSERT_TRUE(user);
  EXPECT_EQ(user->name, "reader");
  EXPECT_EQ(user->role, "read");
  HubSession nobody(hub_->settings());
  EXPECT_EQ(user_of_token(nobody).error().tag, ErrorTag::denied);
}

// ---- the cache itself

TEST_F(Download, TheCacheIsListedCheckedAndRemoved) {
  begin();
  const auto report = run();
  const auto cache = *scan_cache(hub_->cache());
  ASSERT_THAT(cache.repos, testing::SizeIs(1));
  EXPECT_EQ(cache.repos[0].repo, repo);
  EXPECT_EQ(cache.repos[0].bytes, size());
  ASSERT_THAT(cache.repos[0].revisions, testing::SizeIs(1));
  EXPECT_THAT(cache.repos[0].revisions[0].refs, ElementsAre("main"));

  const auto large = fs::canonical(report->folder / "model-1.safetensors");
  std::fstream(large, std::ios::in | std::ios::out | std::ios::binary).put('\1');
  fs::remove(fs::canonical(report->folder / "config.json"));
  const auto check = check_cache(hub_->cache(), {repo}, {});
  ASSERT_TRUE(check);
  ASSERT_THAT(check->faults, testing::SizeIs(2));
  EXPECT_EQ(check->faults[0].file, "blobs/" + large.filename().string());
  EXPECT_THAT(check->faults[1].file, testing::EndsWith("/config.json"));

  EXPECT_EQ(remove_repos(hub_->cache(), {repo, "org/none"}).error().tag, ErrorTag::not_found);
  EXPECT_TRUE(fs::exists(repo_folder())) << "nothing goes where one is missing";
  EXPECT_THAT(remove_repos(hub_->cache(), {repo})->removed, ElementsAre(repo));
  EXPECT_THAT(scan_cache(hub_->cache())->repos, IsEmpty());
}

TEST_F(Download, PartialsAreRemovedButForThoseInUse) {
  begin();
  ASSERT_TRUE(run());
  const auto blobs = repo_folder() / "blobs";
  std::ofstream(blobs / (std::string(64, 'c') + ".1a2b3c4d.incomplete")) << "of the official client";
  std::ofstream(blobs / (readme_id + ".pippin.incomplete")) << "in use";
  const auto lock = wait_for_lock(hub_->cache() / ".locks/models--org--model" / (readme_id + ".lock"), nullptr);
  EXPECT_THAT(remove_partials(hub_->cache())->removed, testing::SizeIs(1));
  EXPECT_TRUE(fs::exists(blobs / (readme_id + ".pippin.incomplete")));
}

}  // namespace
}  // namespace pippin
