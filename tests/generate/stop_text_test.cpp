#include "generate/stop_text.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

// What comes out for each piece, "|" between them, then what finish() gives.
std::string through(std::vector<std::string> stops, const std::vector<std::string>& pieces) {
  StopText filter(std::move(stops));
  std::string out;
  for (const auto& piece : pieces) out += filter.add(piece) + "|";
  return out + filter.finish() + (filter.found() ? " stopped" : "");
}

TEST(StopText, EndsTheTextBeforeIt) {
  EXPECT_EQ(through({"END"}, {"one END two", "three"}), "one || stopped");
}

TEST(StopText, IsFoundAcrossPieces) {
  EXPECT_EQ(through({"END"}, {"one E", "N", "D two"}), "one ||| stopped");
}

TEST(StopText, WhatOnlyBeganLikeOneIsGivenOut) {
  EXPECT_EQ(through({"END"}, {"one E", "N", "TER"}), "one ||ENTER|");
  EXPECT_EQ(through({"END"}, {"one EN"}), "one |EN");
}

TEST(StopText, TheEarliestCounts) {
  EXPECT_EQ(through({"three", "two"}, {"one two three"}), "one | stopped");
}

TEST(StopText, OverlappingBeginnings) {
  EXPECT_EQ(through({"aab"}, {"a", "a", "a", "b"}), "||a|| stopped");
}

TEST(StopText, WithoutStopsEverythingPasses) {
  EXPECT_EQ(through({}, {"one", " two"}), "one| two|");
  EXPECT_EQ(through({""}, {"one"}), "one|");
}

}  // namespace
}  // namespace pippin
