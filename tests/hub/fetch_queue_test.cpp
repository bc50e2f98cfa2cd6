// What an observer of a download is told, and when.
#include "hub/fetch_queue.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/cache_folder.h"
#include "hub/download.h"
#include "hub/stand_in.h"

namespace pippin {
namespace {

using testing::ElementsAre;

const std::string content = noise(200000, 1);

// The events of one file, with what its partial has on the disk.
class Recorder final : public FetchObserver {
 public:
  std::vector<std::string> events;

  Status opened(size_t /*file*/, const PartialFile& partial) override {
    path_ = partial.path();
    events.push_back(fmt::format("opened, {} there", partial.bytes_there()));
    return {};
  }
  void arrived(size_t /*file*/, size_t /*piece*/, uint64_t /*bytes*/) override {}
  void wrong(size_t /*file*/) override {
    events.emplace_back(content_of(path_).starts_with(content.substr(0, 1000)) ? "wrong, still there" : "wrong, gone");
  }
  Status whole(size_t /*file*/) override {
    events.emplace_back("whole");
    return {};
  }

 private:
  std::filesystem::path path_;
};

TEST(FetchObserver, HearsOfWrongBytesBeforeTheyGo) {
  StandIn hub;
  hub.add("org/model", "a.safetensors", content);
  hub.set_faults(R"([{"kind": "flip", "max": 1, "scope": "cdn"}])");
  HubSession session(hub.settings(), {nullptr, [](double) { return true; }});
  const auto listing = list_repo(session, "org/model", "main");
  ASSERT_TRUE(listing) << listing.error().message();
  const CacheFolder cache(hub.settings(), "org/model");
  CacheTarget target(cache, listing->commit);
  Recorder recorder;
  FetchOptions options;
  options.observer = &recorder;
  const auto report = fetch(session, "org/model", listing->commit, listing->files, target, options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_THAT(recorder.events, ElementsAre("opened, 0 there", "wrong, still there", "opened, 0 there", "whole"));
}

}  // namespace
}  // namespace pippin
