#include "spec/expression.h"

#include <cmath>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "spec/expression_functions.h"
#include "spec/expression_node.h"

namespace pippin {
namespace {

using Kind = ExpressionNode::Kind;

class Evaluator {
 public:
  Evaluator(const Environment& environment, const Expression& expression)
      : environment_(environment), expression_(expression) {}

  // NOLINTNEXTLINE(misc-no-recursion): depth is bounded by the parser
  [[nodiscard]] Result<Value> value(const ExpressionNode& node) const {
    switch (node.kind) {
      case Kind::literal:
        return node.value;
      case Kind::name:
        return name(node.text);
      case Kind::list:
        return list(node);
      case Kind::unary:
        return unary(node);
      case Kind::binary:
        return binary(node);
      case Kind::conditional:
        return conditional(node);
      case Kind::index:
        return index(node);
      case Kind::slice:
        return slice(node);
      case Kind::call:
        return call(node);
      case Kind::comprehension:
        return comprehension(node);
    }
    return error("unknown node");
  }

 private:
  [[nodiscard]] tl::unexpected<Error> error(const std::string& what) const {
    return fail(ErrorTag::bad_spec, "an expression must evaluate",
                fmt::format("{}: {} in \"{}\"", expression_.where(), what, expression_.text()),
                "check the field's value in config.json against the spec");
  }

  [[nodiscard]] Result<Value> name(const std::string& text) const {
    auto found = environment_.lookup(text);
    if (!found) return error(fmt::format("unknown name '{}'", text));
    return std::move(*found);
  }

  [[nodiscard]] Result<Value> list(const ExpressionNode& node) const {
    Value result = Value::array();
    for (const auto& child : node.children) {
      PIPPIN_TRY(Value item, value(*child));
      result.push_back(std::move(item));
    }
    return result;
  }

  [[nodiscard]] Result<Value> unary(const ExpressionNode& node) const {
    PIPPIN_TRY(Value inner, value(*node.children[0]));
    if (node.text == "not") return Value(!truth(inner));
    auto result = apply_operator("-", Value(int64_t{0}), inner);
    if (!result) return error(result.error());
    return *result;
  }

  [[nodiscard]] Result<Value> binary(const ExpressionNode& node) const {
    PIPPIN_TRY(Value left, value(*node.children[0]));
    if (node.text == "or" && truth(left)) return left;
    if (node.text == "and" && !truth(left)) return left;
    PIPPIN_TRY(Value right, value(*node.children[1]));
    if (node.text == "or" || node.text == "and") return right;
    if (left.is_object() || right.is_object()) {
      if (auto answer = environment_.call(node.text, {left, right}, {})) return answered(std::move(*answer));
    }
    auto result = apply_operator(node.text, left, right);
    if (!result) return error(result.error());
    return *result;
  }

  [[nodiscard]] Result<Value> conditional(const ExpressionNode& node) const {
    PIPPIN_TRY(Value condition, value(*node.children[1]));
    if (truth(condition)) return value(*node.children[0]);
    if (node.children.size() < 3) return Value(nullptr);
    return value(*node.children[2]);
  }

  [[nodiscard]] Result<Value> index(const ExpressionNode& node) const {
    PIPPIN_TRY(Value object, value(*node.children[0]));
    PIPPIN_TRY(Value key, value(*node.children[1]));
    if (object.is_null()) return Value(nullptr);
    if (object.is_string()) object = characters(object);
    if (object.is_object() && key.is_string()) {
      const auto found = object.find(key.get_ref<const std::string&>());
      return found == object.end() ? Value(nullptr) : *found;
    }
    if (object.is_array() && key.is_number_integer()) {
      auto position = key.get<int64_t>();
      const auto size = static_cast<int64_t>(object.size());
      if (position < 0) position += size;
      if (position < 0 || position >= size) return error(fmt::format("index {} of a list of {}", key.dump(), size));
      return object[static_cast<size_t>(position)];
    }
    return error(fmt::format("cannot index {} with {}", object.type_name(), key.dump()));
  }

  [[nodiscard]] Result<Value> slice(const ExpressionNode& node) const {
    PIPPIN_TRY(Value object, value(*node.children[0]));
    PIPPIN_TRY(Value begin, value(*node.children[1]));
    PIPPIN_TRY(Value end, value(*node.children[2]));
    if (object.is_string()) object = characters(object);
    if (!object.is_array()) return error("cannot slice what is no list");
    const auto size = static_cast<int64_t>(object.size());
    const auto bound = [size](const Value& bound_value, int64_t otherwise) {
      if (!bound_value.is_number_integer()) return otherwise;
      auto position = bound_value.get<int64_t>();
      if (position < 0) position += size;
      return std::clamp<int64_t>(position, 0, size);
    };
    Value result = Value::array();
    for (int64_t i = bound(begin, 0); i < bound(end, size); ++i) result.push_back(object[static_cast<size_t>(i)]);
    return result;
  }

  [[nodiscard]] Result<Value> call(const ExpressionNode& node) const {
    std::vector<Value> arguments;
    Environment::Named named;
    const size_t positional = node.children.size() - node.keywords.size();
    for (size_t i = 0; i < node.children.size(); ++i) {
      PIPPIN_TRY(Value argument, value(*node.children[i]));
      if (i < positional)
        arguments.push_back(std::move(argument));
      else
        named[node.keywords[i - positional]] = std::move(argument);
    }
    std::optional<Computed> built_in;
    if (named.empty()) built_in = call_function(node.text, arguments);
    if (built_in && *built_in) return **built_in;
    // What the built-in functions do not take may be the environment's: floor of an array, say.
    auto result = environment_.call(node.text, arguments, named);
    if (!result) return error(built_in ? built_in->error() : fmt::format("unknown function '{}'", node.text));
    return answered(std::move(*result));
  }

  // An environment's error without a place gets this expression's.
  [[nodiscard]] Result<Value> answered(Result<Value> result) const {
    if (!result && result.error().value.empty()) return error(result.error().rule);
    return result;
  }

  [[nodiscard]] Result<Value> comprehension(const ExpressionNode& node) const {
    PIPPIN_TRY(Value over, value(*node.children[1]));
    if (!over.is_array()) return error("'for' needs a list");
    Value result = Value::array();
    for (const auto& item : over) {
      Bindings bindings(&environment_);
      bindings.set(node.text, item);
      const Evaluator inner(bindings, expression_);
      if (node.children.size() > 2) {
        PIPPIN_TRY(Value condition, inner.value(*node.children[2]));
        if (!truth(condition)) continue;
      }
      PIPPIN_TRY(Value element, inner.value(*node.children[0]));
      result.push_back(std::move(element));
    }
    return result;
  }

  static Value characters(const Value& text) { return **call_function("list", {text}); }

  const Environment& environment_;
  const Expression& expression_;
};

// NOLINTNEXTLINE(misc-no-recursion): depth is bounded by the parser
void collect_names(const ExpressionNode& node, std::set<std::string>& names, std::set<std::string> bound) {
  if (node.kind == Kind::name && !bound.contains(node.text)) names.insert(node.text);
  if (node.kind == Kind::comprehension) bound.insert(node.text);
  for (const auto& child : node.children) collect_names(*child, names, bound);
}

}  // namespace

std::optional<Result<Value>> Environment::call(std::string_view /*function*/, const std::vector<Value>& /*arguments*/,
                                               const Named& /*named*/) const {
  return std::nullopt;
}

std::optional<Result<Value>> Bindings::lookup(std::string_view name) const {
  if (const auto found = values_.find(name); found != values_.end()) return found->second;
  return outer_ ? outer_->lookup(name) : std::nullopt;
}

std::optional<Result<Value>> Bindings::call(std::string_view function, const std::vector<Value>& arguments,
                                            const Named& named) const {
  return outer_ ? outer_->call(function, arguments, named) : std::nullopt;
}

Result<Expression> Expression::parse(std::string_view text, std::string where) {
  Expression expression;
  expression.text_ = text;
  expression.where_ = std::move(where);
  PIPPIN_TRY(expression.root_, parse_expression(expression.text_, expression.where_));
  return expression;
}

Result<Value> Expression::evaluate(const Environment& environment) const {
  return Evaluator(environment, *this).value(*root_);
}

Result<bool> Expression::test(const Environment& environment) const {
  PIPPIN_TRY(Value value, evaluate(environment));
  return truth(value);
}

Result<int64_t> Expression::integer(const Environment& environment) const {
  PIPPIN_TRY(Value value, evaluate(environment));
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_integer()) return value.get<int64_t>();
  return fail(ErrorTag::bad_config, "a size must be an integer",
              fmt::format("{}: \"{}\" is {}", where_, text_, value.dump()), "check the field in config.json");
}

std::vector<std::string> Expression::names() const {
  std::set<std::string> names;
  collect_names(*root_, names, {});
  return {names.begin(), names.end()};
}

bool truth(const Value& value) {
  if (value.is_null()) return false;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_float()) return value.get<double>() != 0;
  if (value.is_number()) return value.get<int64_t>() != 0;
  return !value.empty() && !(value.is_string() && value.get_ref<const std::string&>().empty());
}

}  // namespace pippin
