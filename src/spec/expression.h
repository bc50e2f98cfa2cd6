// Expressions of spec and recipe files: a small, Python-like language over JSON values.
//
// Literals: 12, 1.5, "text", 'text', true/false/none (also True/False/None), [a, b].
// Operators, weakest first: a if c else b (else may be left out: none) | or | and | not | in, not in, == != < <= > >= |
// + - | * / // % | unary - | ** | x[i], x.field, f(a, key=b). [e for x in list if c] makes lists.
// Division, modulo and truth are Python's: 7 // 2 is 3, -1 % 3 is 2, none, 0, "" and [] are false.
// x.field and x["field"] of a missing field give none. Integers are 64-bit; overflow is an error.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

using Value = nlohmann::json;

// What an expression can see: names and functions.
class Environment {
 public:
  Environment() = default;
  Environment(const Environment&) = default;
  Environment& operator=(const Environment&) = default;
  virtual ~Environment() = default;

  // The value of a name, or nothing where it is unknown.
  [[nodiscard]] virtual std::optional<Result<Value>> lookup(std::string_view name) const = 0;

  using Named = std::map<std::string, Value, std::less<>>;
  // Calls a function that the language does not have itself, or an operator ("+") with an object on a side; nothing
  // where it is unknown.
  [[nodiscard]] virtual std::optional<Result<Value>> call(std::string_view function,
                                                          const std::vector<Value>& arguments,
                                                          const Named& named) const;
};

// Names with values, in front of another environment.
class Bindings : public Environment {
 public:
  explicit Bindings(const Environment* outer = nullptr) : outer_(outer) {}
  void set(std::string name, Value value) { values_.insert_or_assign(std::move(name), std::move(value)); }
  [[nodiscard]] std::optional<Result<Value>> lookup(std::string_view name) const override;
  [[nodiscard]] std::optional<Result<Value>> call(std::string_view function, const std::vector<Value>& arguments,
                                                  const Named& named) const override;

 private:
  const Environment* outer_;
  std::map<std::string, Value, std::less<>> values_;
};

struct ExpressionNode;

class Expression {
 public:
  // Parses text; where: place for messages ("mlx_lm/llama.toml, modules.attention.q_proj").
  static Result<Expression> parse(std::string_view text, std::string where);

  [[nodiscard]] Result<Value> evaluate(const Environment& environment) const;
  [[nodiscard]] Result<bool> test(const Environment& environment) const;  // evaluate, then truth
  [[nodiscard]] Result<int64_t> integer(
      const Environment& environment) const;  // evaluate; anything but an integer is an error

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::string& where() const { return where_; }
  // All free names it mentions, functions not counted.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::shared_ptr<const ExpressionNode> root_;
  std::string text_;
  std::string where_;
};

// Python's truth of a value.
bool truth(const Value& value);

}  // namespace pippin
