#include "spec/name_pattern.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

// The captures as JSON, or "no" where the name does not match.
std::string matched(const char* pattern, const char* name) {
  const auto parsed = NamePattern::parse(pattern, "here");
  if (!parsed) return "does not parse";
  const auto captures = parsed->match(name);
  return captures ? Value(*captures).dump() : "no";
}

struct Row {
  const char* pattern;
  const char* name;
  const char* captures;
};

class NamePatterns : public testing::TestWithParam<Row> {};

TEST_P(NamePatterns, Match) {
  EXPECT_EQ(matched(GetParam().pattern, GetParam().name), GetParam().captures);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NamePatterns,
    testing::Values(Row{"model.norm", "model.norm", "{}"}, Row{"model.norm", "model.norms", "no"},
                    Row{"layers.{i}.mlp", "layers.12.mlp", "{\"i\":12}"}, Row{"layers.{i}.mlp", "layers.x.mlp", "no"},
                    Row{"*.weight", "a.weight", "{}"}, Row{"*.weight", "a.b.weight", "no"},
                    Row{"**.weight", "a.b.weight", "{}"}, Row{"{x:**}.weight", "a.b.weight", "{\"x\":\"a.b\"}"},
                    Row{"{proj:up|down}.w", "down.w", "{\"proj\":\"down\"}"}, Row{"{up|down}.w", "left.w", "no"},
                    Row{"{a:*}.{a:*}", "x.x", "{\"a\":\"x\"}"}, Row{"{a:*}.{a:*}", "x.y", "no"},
                    Row{"**mlp.gate", "model.layers.0.mlp.gate", "{}"}, Row{"{open", "x", "does not parse"}));

TEST(NamePattern, HostileNamesDoNotHang) {
  EXPECT_EQ(matched("**a**a**a**a**a**a**b", std::string(2000, 'a').c_str()), "no");
}

TEST(NameTemplate, FillsCapturesAndExpressions) {
  Bindings bindings;
  bindings.set("i", 3);
  bindings.set("proj", "up_proj");
  EXPECT_EQ(NameTemplate::parse("model.layers.{i - 1}.{proj}.weight", "here")->fill(bindings),
            "model.layers.2.up_proj.weight");
}

TEST(Alternatives, AreWrittenOut) {
  EXPECT_EQ(expand_alternatives("{q|k}_proj.{i}"), (std::vector<std::string>{"q_proj.{i}", "k_proj.{i}"}));
}

}  // namespace
}  // namespace pippin
