// Patterns over tensor and module names, with captures, and templates that put captures into new names.
//
// Pattern                      matches
//   model.norm                 itself
//   *                          any run of characters but '.'; may be empty
//   **                         any run of characters; may be empty
//   {i}  (one letter)          a number, captured as an integer
//   {name}                     a run of characters but '.', not empty, captured as a string
//   {name:**}                  any run of characters; may be empty, captured
//   {name:a|b|c}  {a|b|c}      one of the alternatives, captured or not
// A capture that occurs twice must match the same text both times.
//
// Template: {name} gives the capture; {i - 1} and other expressions give their value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/error.h"
#include "spec/expression.h"

namespace pippin {

using Captures = std::map<std::string, Value, std::less<>>;

class NamePattern {
 public:
  static Result<NamePattern> parse(std::string_view text, const std::string& where);

  // The captures if the whole name matches.
  [[nodiscard]] std::optional<Captures> match(std::string_view name) const;
  [[nodiscard]] const std::string& text() const { return text_; }
  // Whether the pattern has no wildcards or captures, so that it matches only itself.
  [[nodiscard]] bool literal() const;

 private:
  struct Part {
    enum class Type { literal, star, double_star, number, component, alternatives } type;
    std::string text;  // of a literal
    std::string name;  // of a capture; empty: not captured
    std::vector<std::string> alternatives;
  };
  friend class PatternMatcher;
  std::vector<Part> parts_;
  std::string text_;
};

class NameTemplate {
 public:
  static Result<NameTemplate> parse(std::string_view text, const std::string& where);

  [[nodiscard]] Result<std::string> fill(const Environment& environment) const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  struct Part {
    std::string literal;
    std::optional<Expression> expression;
  };
  std::vector<Part> parts_;
  std::string text_;
};

// "{a|b}.weight" as ["a.weight", "b.weight"]: the unnamed alternatives of a text written out, in order.
std::vector<std::string> expand_alternatives(std::string_view text);

}  // namespace pippin
