#include "spec/expression.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

Bindings names() {
  Bindings bindings;
  bindings.set("layers", 4);
  bindings.set("kinds", Value::array({"full", "sliding"}));
  bindings.set("config", {{"rope", {{"theta", 10000.0}}}});
  return bindings;
}

std::string evaluated(const std::string& text) {
  const auto expression = Expression::parse(text, "here");
  if (!expression) return "does not parse";
  const auto value = expression->evaluate(names());
  return value ? value->dump() : "error";
}

struct Row {
  const char* text;
  const char* value;
};

class Expressions : public testing::TestWithParam<Row> {};

TEST_P(Expressions, Evaluate) {
  EXPECT_EQ(evaluated(GetParam().text), GetParam().value) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Expressions,
    testing::Values(Row{"1 + 2 * 3", "7"}, Row{"-7 // 2", "-4"}, Row{"-1 % 3", "2"}, Row{"7 / 2", "3.5"},
                    Row{"2 ** 10", "1024"}, Row{"(1 + 2) * 3", "9"}, Row{"not 0 and 5", "5"},
                    Row{"0 or none or 'x'", "\"x\""}, Row{"1 if layers > 3 else 2", "1"},
                    Row{"1 if layers > 4", "null"}, Row{"2 not in [1, 3]", "true"}, Row{"'sl' in 'sliding'", "true"},
                    Row{"kinds[-1]", "\"sliding\""}, Row{"'abc'[1]", "\"b\""}, Row{"[1, 2, 3][1:]", "[2,3]"},
                    Row{"config.rope.theta", "10000.0"}, Row{"config.missing.theta", "null"},
                    Row{"[i * i for i in range(layers) if i % 2 == 1]", "[1,9]"}, Row{"ceil(7 / 2)", "4"},
                    Row{"log(1)", "0.0"}, Row{"max(1, layers, 2)", "4"}, Row{"get(config, 'x', 5)", "5"},
                    Row{"get(updated(config, 'x', 7), 'x', 5)", "7"}, Row{"len(list('M*-'))", "3"},
                    Row{"'h.' + str(12) + str('.w')", "\"h.12.w\""}, Row{"any([0, 1])", "true"},
                    Row{"all([0, 1])", "false"}, Row{"sum([1, 2])", "3"}, Row{"range(1, 7, 3)", "[1,4]"}));

INSTANTIATE_TEST_SUITE_P(Errors, Expressions,
                         testing::Values(Row{"1 +", "does not parse"}, Row{"(1", "does not parse"},
                                         Row{"'open", "does not parse"}, Row{"1 2", "does not parse"},
                                         Row{"unknown", "error"}, Row{"unknown(1)", "error"}, Row{"1 // 0", "error"},
                                         Row{"log(0)", "error"}, Row{"9223372036854775807 + 1", "error"},
                                         Row{"kinds[2]", "error"}, Row{"range(10 ** 9)", "error"},
                                         Row{"'a' * 3", "error"}));

TEST(Expression, TooDeepNestingIsAnErrorAndNoCrash) {
  EXPECT_EQ(evaluated(std::string(100000, '(')), "does not parse");
  EXPECT_EQ(evaluated(std::string(100000, '-') + "1"), "does not parse");
}

TEST(Expression, WhatABuiltInFunctionDoesNotTakeMayBeTheEnvironments) {
  struct Texts : Environment {
    std::optional<Result<Value>> lookup(std::string_view) const override { return std::nullopt; }
    std::optional<Result<Value>> call(std::string_view function, const std::vector<Value>&,
                                      const Named&) const override {
      return Value(std::string(function) + " of a text");
    }
  };
  EXPECT_EQ(*Expression::parse("floor(1.5)", "here")->evaluate(Texts()), 1);
  EXPECT_EQ(*Expression::parse("floor('x')", "here")->evaluate(Texts()), "floor of a text");
}

TEST(Expression, NamesItsFreeNames) {
  const auto expression = Expression::parse("a + [i for i in b if i > c]", "here");
  EXPECT_EQ(expression->names(), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Expression, ASizeMustBeAnInteger) {
  const auto expression = Expression::parse("'wide'", "mlx_lm/llama.toml");
  const auto size = expression->integer(names());
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().tag, ErrorTag::bad_config);
}

}  // namespace
}  // namespace pippin
