// Files that are read while they arrive, and of which no copy is kept.
#include "hub/spool_supply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "hub/download.h"
#include "hub/stand_in.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t piece = 64 << 10;
constexpr uint64_t window = 4 * piece;
constexpr uint64_t size = 10 * piece + 1000;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(RunningDigest, IsThatOfTheWhole) {
  RunningDigest sha256(std::string(64, '0'), 10);
  sha256.add(bytes("01234"));
  sha256.add(bytes("56789"));
  EXPECT_EQ(sha256.finish(), "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
  RunningDigest git(std::string(40, '0'), 13);
  git.add(bytes("Hello, World!"));
  EXPECT_EQ(git.state(), "");
  EXPECT_EQ(git.finish(), "b45ef6fec89518d314f546fd6c3025367b721684");
}

TEST(RunningDigest, GoesOnFromAState) {
  const std::string content = noise(1000, 1);
  RunningDigest whole(std::string(64, '0'), 1000), first(std::string(64, '0'), 1000),
      second(std::string(64, '0'), 1000);
  whole.add(bytes(content));
  first.add(bytes(content).first(640));
  ASSERT_TRUE(second.restore(640, first.state()));
  second.add(bytes(content).subspan(640));
  EXPECT_EQ(second.finish(), whole.finish());
  first.add(bytes("x"));
  EXPECT_EQ(first.state(), "") << "between two blocks";
  EXPECT_FALSE(second.restore(641, std::string(64, 'a')));
  EXPECT_FALSE(second.restore(640, std::string(63, 'a')));
  EXPECT_FALSE(second.restore(640, std::string(63, 'a') + "x"));
}

// A repository with two files of eleven pieces.
class Spool : public testing::Test {
 protected:
  Spool() {
    for (const char* name : {"a.safetensors", "b.safetensors"}) {
      contents_.push_back(noise(size, contents_.size()));
      hub_.add("org/model", name, contents_.back());
    }
    fs::create_directory(folder());
  }

  // One run. With a single connection requests come one after another.
  struct Run {
    HubSession session;
    std::unique_ptr<SpoolSupply> supply;
    std::vector<std::unique_ptr<ByteSource>> sources;
    explicit Run(const HubSettings& settings) : session(settings, {nullptr, [](double) { return true; }}) {}
  };
  std::unique_ptr<Run> begin(bool resume = false, int connections = 1, const fs::path& local = {}) {
    auto run = std::make_unique<Run>(hub_.settings());
    const auto listing = list_repo(run->session, "org/model", "main");
    if (!listing) throw std::runtime_error(listing.error().message());
    std::vector<SpoolFile> files;
    for (const auto& file : listing->files) {
      if (file.name.ends_with("safetensors")) files.push_back({file, files.empty() ? local : fs::path()});
    }
    run->supply = std::make_unique<SpoolSupply>(run->session, "org/model", listing->commit, files,
                                                SpoolOptions{connections, piece, window});
    run->sources = std::move(*run->supply->begin(folder(), resume));
    return run;
  }

  static void announce(Run& run, size_t file, uint64_t from = 0) {
    for (uint64_t at = from; at < size; at += 10000)
      run.sources[file]->announce_use(at, std::min<uint64_t>(10000, size - at));
  }
  void read(Run& run, size_t file, uint64_t from = 0, uint64_t to = size) {
    for (uint64_t at = from; at < to; at += 10000) {
      std::string text(std::min<uint64_t>(10000, size - at), '\0');
      const auto status = run.sources[file]->read(at, std::as_writable_bytes(std::span(text)));
      ASSERT_TRUE(status) << status.error().message();
      EXPECT_TRUE(text == contents_[file].substr(at, text.size())) << at;
      run.sources[file]->end_use(at, text.size());
    }
  }

  [[nodiscard]] fs::path folder() const { return hub_.folder() / "unfinished"; }
  [[nodiscard]] std::vector<std::string> pieces() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder() / ".pippin-spool"))
      names.push_back(entry.path().filename());
    return names;
  }
  void wait_for_states(size_t count) const {
    for (int i = 0; i < 600; ++i) {
      std::ifstream in(folder() / ".pippin-arrivals");
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      if (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) >= count) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL() << "no states were noted";
  }

  StandIn hub_;
  std::vector<std::string> contents_;
};

TEST_F(Spool, NoMoreThanTheWindowLiesOnTheDisk) {
  const auto run = begin(false, 4);
  for (const size_t file : {0, 1}) announce(*run, file);
  for (const size_t file : {0, 1}) read(*run, file);
  EXPECT_THAT(*run->supply->confirm(true), IsEmpty());
  EXPECT_LE(run->supply->most_spooled(), window);
  EXPECT_EQ(run->supply->bytes_fetched(), 2 * size);
  EXPECT_EQ(run->supply->trusted_bytes(0), size);
  EXPECT_THAT(pieces(), IsEmpty());
  EXPECT_TRUE(run->supply->end());
  EXPECT_TRUE(fs::is_empty(folder()));
}

TEST_F(Spool, WhatIsNeededLaterStays) {
  const auto run = begin();
  for (const size_t file : {0, 1}) announce(*run, file);
  run->sources[0]->announce_use(100, 10);
  read(*run, 0);
  read(*run, 1, 0, 300000);
  EXPECT_THAT(pieces(), testing::Contains("0-0"));
  std::string text(10, '\0');
  EXPECT_TRUE(run->sources[0]->read(100, std::as_writable_bytes(std::span(text))));
  EXPECT_EQ(text, contents_[0].substr(100, 10));
  run->sources[0]->end_use(100, 10);
  EXPECT_THAT(pieces(), testing::Not(testing::Contains("0-0")));
}

TEST_F(Spool, AReaderThatNeedsMoreThanTheWindowGetsIt) {
  const auto run = begin();
  for (const size_t file : {0, 1}) announce(*run, file);
  std::string text(10, '\0');
  EXPECT_TRUE(run->sources[1]->read(size - 10, std::as_writable_bytes(std::span(text))));
  EXPECT_EQ(text, contents_[1].substr(size - 10));
  for (const size_t file : {0, 1}) read(*run, file);
  EXPECT_THAT(*run->supply->confirm(true), IsEmpty());
}

TEST_F(Spool, OnlyWhatWasAnnouncedIsRead) {
  const auto run = begin();
  std::string text(10, '\0');
  EXPECT_FALSE(run->sources[0]->read(0, std::as_writable_bytes(std::span(text))));
  run->sources[0]->announce_use(0, 10);
  EXPECT_FALSE(run->sources[0]->read(size - 5, std::as_writable_bytes(std::span(text)))) << "beyond the end";
}

TEST_F(Spool, WrongBytesAreNamedAndComeAnew) {
  hub_.set_faults(R"([{"kind":"flip","max":1,"scope":"cdn","match":"b.*"}])");
  const auto run = begin();
  announce(*run, 1);
  std::string text(10, '\0');
  EXPECT_TRUE(run->sources[1]->read(0, std::as_writable_bytes(std::span(text))));
  EXPECT_THAT(*run->supply->confirm(true), ElementsAre(1));
  EXPECT_EQ(run->supply->trusted_bytes(0), size);
  EXPECT_EQ(run->supply->trusted_bytes(1), 0U);
  const uint64_t before = run->supply->bytes_fetched();
  announce(*run, 1);
  read(*run, 1);
  EXPECT_THAT(*run->supply->confirm(true), IsEmpty());
  EXPECT_EQ(run->supply->bytes_fetched() - before, size);
}

TEST_F(Spool, TheNextRunFetchesFromWhatIsNeeded) {
  {
    const auto first = begin();
    for (const size_t file : {0, 1}) announce(*first, file);
    read(*first, 0);
    read(*first, 1, 0, 200000);
    wait_for_states(11 + 1 + 3);
  }
  EXPECT_THAT(pieces(), IsEmpty());
  const auto second = begin(true);
  EXPECT_EQ(second->supply->trusted_bytes(0), size);
  EXPECT_GE(second->supply->trusted_bytes(1), 3 * piece);
  announce(*second, 1, 200000);
  read(*second, 1, 200000);
  EXPECT_THAT(*second->supply->confirm(true), IsEmpty());
  EXPECT_EQ(second->supply->bytes_fetched(), size - 3 * piece);
}

TEST_F(Spool, BytesOfAnEarlierRunThatWereWrongAreNoticed) {
  hub_.set_faults(R"([{"kind":"flip","every":3,"max":1,"scope":"cdn"}])");
  {
    const auto first = begin();
    announce(*first, 0);
    std::string text(10, '\0');
    EXPECT_TRUE(first->sources[0]->read(0, std::as_writable_bytes(std::span(text))));
    wait_for_states(4);  // of which the third is wrong; the window is full
  }
  const auto second = begin(true);
  EXPECT_EQ(second->supply->trusted_bytes(0), 4 * piece);
  announce(*second, 0);
  read(*second, 0);
  EXPECT_THAT(*second->supply->confirm(true), ElementsAre(0));
  EXPECT_EQ(second->supply->trusted_bytes(0), 0U);
}

TEST_F(Spool, RangesAreCompared) {
  const std::string twice = noise(2 * piece, 7);
  hub_.add("org/model", "a.safetensors", twice + twice + std::string(size - 4 * piece, 'x'));
  const auto run = begin();
  const ByteSupply::Range a{0, 0, 2 * piece}, b{0, 2 * piece, 2 * piece}, c{0, 1, 2 * piece};
  for (const auto& range : {a, b, c}) run->supply->will_compare(range);
  EXPECT_THAT(*run->supply->confirm(true), IsEmpty());
  EXPECT_EQ(**run->supply->are_same(a, b), true);
  EXPECT_EQ(**run->supply->are_same(a, c), false);
}

TEST_F(Spool, AServerWithoutRangesSendsAllInOneGo) {
  hub_.set_faults(R"([{"kind":"ignore-range"}])");
  const auto run = begin(false, 4);
  for (const size_t file : {0, 1}) announce(*run, file);
  for (const size_t file : {0, 1}) read(*run, file);
  EXPECT_THAT(*run->supply->confirm(true), IsEmpty());
}

TEST_F(Spool, AFileThatIsHereIsReadHere) {
  const fs::path local = hub_.folder() / "local";
  std::ofstream(local, std::ios::binary) << contents_[0];
  const auto run = begin(false, 1, local);
  for (const size_t file : {0, 1}) announce(*run, file);
  for (const size_t file : {0, 1}) read(*run, file);
  EXPECT_THAT(*run->supply->confirm(true), IsEmpty());
  EXPECT_EQ(run->supply->bytes_fetched(), size);
}

}  // namespace
}  // namespace pippin
