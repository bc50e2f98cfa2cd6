// What a conversion remembers about files that it read while they arrived.
#include "hub/arrival_notes.h"

#include <gtest/gtest.h>

#include <fstream>

#include "ghost/temporary_folder.h"

namespace pippin {
namespace {

const std::vector<RepoFile> files{{"a", 100, "ida", {}}, {"b", 100, "idb", {}}};

TEST(ArrivalNotes, OnlyWholeLinesOfTheSameContentsCount) {
  struct Row {
    const char* text;
    ArrivalNote of_b;
  };
  const Row rows[] = {
      {"", {}},
      {"whole 1 idb\n", {.whole = true}},
      {"whole 1 idb", {}},                             // torn
      {"whole 1 idx\n", {}},                           // another content
      {"whole 2 idb\nwhole -1 idb\nwhole\n\n\n", {}},  // no such file
      {"whole 1 idb more\n", {}},
      {"partial 1 idb 7\npartial 1 idb 8\n", {.generation = 8}},
      {"partial 1 idb x\n", {}},
      {"digest 1 idb 64 aa\ndigest 1 idb 101 bb\n", {.states = {{64, "aa"}}}},  // beyond the end
      {"whole 1 idb\npartial 1 idb 7\nwrong 1 idb\n", {}},
      {"wrong 0 ida\nwhole 1 idb\n", {.whole = true}},
  };
  for (const Row& row : rows) EXPECT_EQ(parse_arrival_notes(row.text, files)[1], row.of_b) << row.text;
}

TEST(ArrivalNotes, TheNextRunReadsWhatThisOneNoted) {
  const TemporaryFolder folder;
  std::vector<ArrivalNote> notes;
  {
    ArrivalNotes first;
    ASSERT_TRUE(first.open(folder.path(), files, false, notes));
    EXPECT_TRUE(first.partial(0, 7));
    EXPECT_TRUE(first.digest(1, 64, "aa"));
    EXPECT_TRUE(first.whole(1));
  }
  std::ofstream(folder.path() / ".pippin-arrivals", std::ios::app) << "whole 0 i";  // killed while it wrote
  {
    ArrivalNotes second;
    ASSERT_TRUE(second.open(folder.path(), files, true, notes));
    EXPECT_EQ(notes[0], ArrivalNote{.generation = 7});
    EXPECT_EQ(notes[1], (ArrivalNote{.whole = true, .states = {{64, "aa"}}}));
    EXPECT_TRUE(second.whole(0));
  }
  ArrivalNotes third;
  ASSERT_TRUE(third.open(folder.path(), files, true, notes));
  EXPECT_TRUE(notes[0].whole);
  EXPECT_TRUE(third.remove());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  ArrivalNotes anew;
  ASSERT_TRUE(anew.open(folder.path(), files, false, notes));
  EXPECT_FALSE(notes[0].whole);
}

}  // namespace
}  // namespace pippin
