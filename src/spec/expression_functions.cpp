#include "spec/expression_functions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "source/ascii_text.h"

namespace pippin {
namespace {

constexpr int64_t max_list = 1 << 20;

tl::unexpected<std::string> wrong(std::string what) {
  return tl::unexpected<std::string>(std::move(what));
}

bool is_integer(const Value& value) {
  return value.is_number_integer() || value.is_boolean();
}
bool is_number(const Value& value) {
  return value.is_number() || value.is_boolean();
}
int64_t integer_of(const Value& value) {
  return value.is_boolean() ? int64_t{value.get<bool>()} : value.get<int64_t>();
}
double number_of(const Value& value) {
  return is_integer(value) ? static_cast<double>(integer_of(value)) : value.get<double>();
}

Computed floor_division(int64_t left, int64_t right, bool remainder) {
  if (right == 0) return wrong("division by zero");
  if (right == -1) {  // the one quotient that overflows, and a remainder that traps
    if (remainder) return Value(int64_t{0});
    int64_t negated = 0;
    if (__builtin_sub_overflow(int64_t{0}, left, &negated)) return wrong("an overflow");
    return Value(negated);
  }
  const int64_t quotient = left / right;
  const int64_t rest = left % right;
  const bool adjust = rest != 0 && ((rest < 0) != (right < 0));
  return Value(remainder ? (adjust ? rest + right : rest) : (adjust ? quotient - 1 : quotient));
}

Computed integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) {
    if (i > 64 && base != 1 && base != 0 && base != -1) return wrong("an overflow");
    if (__builtin_mul_overflow(result, base, &result)) return wrong("an overflow");
    if (i > 128) break;
  }
  return Value(result);
}

Computed integer_arithmetic(std::string_view symbol, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (symbol == "+")
    overflow = __builtin_add_overflow(left, right, &result);
  else if (symbol == "-")
    overflow = __builtin_sub_overflow(left, right, &result);
  else if (symbol == "*")
    overflow = __builtin_mul_overflow(left, right, &result);
  else if (symbol == "//")
    return floor_division(left, right, false);
  else if (symbol == "%")
    return floor_division(left, right, true);
  else
    return integer_power(left, right);
  if (overflow) return wrong("an overflow");
  return Value(result);
}

Computed float_arithmetic(std::string_view symbol, double left, double right) {
  if ((symbol == "/" || symbol == "//" || symbol == "%") && right == 0) return wrong("division by zero");
  if (symbol == "+") return Value(left + right);
  if (symbol == "-") return Value(left - right);
  if (symbol == "*") return Value(left * right);
  if (symbol == "/") return Value(left / right);
  if (symbol == "//") return Value(std::floor(left / right));
  if (symbol == "%") return Value(left - right * std::floor(left / right));
  return Value(std::pow(left, right));
}

Computed contains(const Value& needle, const Value& hay) {
  if (hay.is_string() && needle.is_string()) {
    return Value(hay.get_ref<const std::string&>().find(needle.get_ref<const std::string&>()) != std::string::npos);
  }
  if (hay.is_object() && needle.is_string()) return Value(hay.contains(needle.get_ref<const std::string&>()));
  if (hay.is_array()) return Value(std::find(hay.begin(), hay.end(), needle) != hay.end());
  if (hay.is_null()) return Value(false);
  return wrong(fmt::format("'in' needs a list, an object or a string, not {}", hay.type_name()));
}

Computed compare(std::string_view symbol, const Value& left, const Value& right) {
  const bool numbers = is_number(left) && is_number(right);
  if (symbol == "==") return Value(numbers ? number_of(left) == number_of(right) : left == right);
  if (symbol == "!=") return Value(numbers ? number_of(left) != number_of(right) : left != right);
  const bool strings = left.is_string() && right.is_string();
  if (!numbers && !strings) return wrong(fmt::format("cannot order {} and {}", left.dump(), right.dump()));
  int order = 0;
  if (strings)
    order = left.get_ref<const std::string&>().compare(right.get_ref<const std::string&>());
  else
    order = number_of(left) < number_of(right) ? -1 : (number_of(left) > number_of(right) ? 1 : 0);
  if (symbol == "<") return Value(order < 0);
  if (symbol == "<=") return Value(order <= 0);
  if (symbol == ">") return Value(order > 0);
  return Value(order >= 0);
}

Computed join_lists(const Value& left, const Value& right) {
  Value result = left;
  for (const auto& item : right) result.push_back(item);
  return result;
}

Computed repeat_list(const Value& list, int64_t times) {
  Value result = Value::array();
  if (times > 0 && static_cast<int64_t>(list.size()) > max_list / times) return wrong("a list too long");
  for (int64_t i = 0; i < times; ++i) {
    for (const auto& item : list) result.push_back(item);
  }
  return result;
}

// The functions.

using Arguments = std::vector<Value>;

Computed length(const Arguments& a) {
  if (a[0].is_string()) return Value(static_cast<int64_t>(a[0].get_ref<const std::string&>().size()));
  if (a[0].is_array() || a[0].is_object() || a[0].is_null()) return Value(static_cast<int64_t>(a[0].size()));
  return wrong(fmt::format("{} has no length", a[0].dump()));
}

Computed extreme(const Arguments& a, bool largest) {
  const Value items = a.size() == 1 && a[0].is_array() ? a[0] : Value(a);
  if (items.empty()) return wrong("min or max of nothing");
  Value best = items[0];
  for (const auto& item : items) {
    if (!is_number(item) || !is_number(best)) return wrong("min and max need numbers");
    if (largest ? number_of(item) > number_of(best) : number_of(item) < number_of(best)) best = item;
  }
  return best;
}

Computed total(const Arguments& a) {
  Value result = int64_t{0};
  for (const auto& item : a[0]) {
    auto next = apply_operator("+", result, item);
    if (!next) return next;
    result = *next;
  }
  return result;
}

Computed whole(const Arguments& a, double (*rounded)(double)) {
  if (is_integer(a[0])) return Value(integer_of(a[0]));
  if (!a[0].is_number()) return wrong(fmt::format("{} is no number", a[0].dump()));
  const double value = rounded(a[0].get<double>());
  if (!(std::abs(value) < 9e18)) return wrong("a number out of range");
  return Value(static_cast<int64_t>(value));
}

Computed to_integer(const Arguments& a) {
  if (!a[0].is_string()) return whole(a, [](double x) { return std::trunc(x); });
  const auto& text = a[0].get_ref<const std::string&>();
  char* end = nullptr;
  const int64_t value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != 0) return wrong(fmt::format("\"{}\" is no integer", text));
  return Value(value);
}

Computed range(const Arguments& a) {
  for (const auto& item : a) {
    if (!is_integer(item)) return wrong(fmt::format("range needs integers, not {}", item.dump()));
  }
  const int64_t begin = a.size() > 1 ? integer_of(a[0]) : 0;
  const int64_t end = integer_of(a[a.size() > 1 ? 1 : 0]);
  const int64_t step = a.size() > 2 ? integer_of(a[2]) : 1;
  if (step == 0) return wrong("a range with step 0");
  Value result = Value::array();
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
    if (static_cast<int64_t>(result.size()) >= max_list) return wrong("a range too long");
    result.push_back(i);
  }
  return result;
}

Computed affix(const Arguments& a, bool front) {
  if (!a[0].is_string() || !a[1].is_string()) return wrong("starts and ends need strings");
  const auto& text = a[0].get_ref<const std::string&>();
  const auto& part = a[1].get_ref<const std::string&>();
  return Value(front ? text.starts_with(part) : text.ends_with(part));
}

// The characters of a string; a list is itself.
Computed list_of(const Arguments& a) {
  if (a[0].is_array()) return a[0];
  if (!a[0].is_string()) return wrong(fmt::format("{} is no string and no list", a[0].dump()));
  Value result = Value::array();
  for (const char c : a[0].get_ref<const std::string&>()) result.push_back(std::string(1, c));
  return result;
}

Computed lower(const Arguments& a) {
  if (!a[0].is_string()) return wrong("lower needs a string");
  std::string text = a[0];
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return Value(text);
}

// Of a string or an integer.
Computed to_text(const Arguments& a) {
  if (a[0].is_string()) return a[0];
  if (!a[0].is_number_integer()) return wrong(fmt::format("str takes an integer, not {}", a[0].dump()));
  return Value(a[0].dump());
}

Computed get(const Arguments& a) {
  if (!a[0].is_object() || !a[1].is_string()) return a[2];
  const auto found = a[0].find(a[1].get_ref<const std::string&>());
  return found == a[0].end() ? a[2] : *found;
}

// The object with one of its fields set; none counts as an empty one.
Computed updated(const Arguments& a) {
  if (!(a[0].is_object() || a[0].is_null()) || !a[1].is_string())
    return wrong("updated needs an object, a name and a value");
  Value result = a[0].is_null() ? Value::object() : a[0];
  result[a[1].get_ref<const std::string&>()] = a[2];
  return result;
}

Computed any_or_all(const Arguments& a, bool all) {
  if (!a[0].is_array()) return wrong("any and all need a list");
  for (const auto& item : a[0]) {
    if (truth(item) != all) return Value(!all);
  }
  return Value(all);
}

Computed index_of(const Arguments& a) {
  for (size_t i = 0; i < a[0].size(); ++i) {
    if (a[0].is_array() && a[0][i] == a[1]) return Value(static_cast<int64_t>(i));
  }
  return Value(int64_t{-1});
}

Computed count_of(const Arguments& a) {
  int64_t count = 0;
  for (const auto& item : a[0]) count += item == a[1] ? 1 : 0;
  return Value(count);
}

Computed in_order(const Arguments& a) {
  Value result = a[0];
  if (!result.is_array()) return wrong("sorted needs a list");
  std::sort(result.begin(), result.end());
  return result;
}

Computed split_text(const Arguments& a) {
  if (!a[0].is_string() || !a[1].is_string() || a[1].get_ref<const std::string&>().empty())
    return wrong("split needs strings");
  return Value(parts_of(a[0].get_ref<const std::string&>(), a[1].get_ref<const std::string&>()));
}

struct FunctionRow {
  std::string_view name;
  size_t least, most;  // arguments
  Computed (*call)(const Arguments&);
};

constexpr std::array functions{
    FunctionRow{"len", 1, 1, length},
    FunctionRow{"min", 1, 16, [](const Arguments& a) { return extreme(a, false); }},
    FunctionRow{"max", 1, 16, [](const Arguments& a) { return extreme(a, true); }},
    FunctionRow{"sum", 1, 1, total},
    FunctionRow{"any", 1, 1, [](const Arguments& a) { return any_or_all(a, false); }},
    FunctionRow{"all", 1, 1, [](const Arguments& a) { return any_or_all(a, true); }},
    FunctionRow{"abs", 1, 1,
                [](const Arguments& a) {
                  return is_number(a[0]) && number_of(a[0]) >= 0 ? Computed(a[0])
                                                                 : apply_operator("-", Value(int64_t{0}), a[0]);
                }},
    FunctionRow{"int", 1, 1, to_integer},
    FunctionRow{"float", 1, 1,
                [](const Arguments& a) {
                  return is_number(a[0]) ? Computed(Value(number_of(a[0]))) : wrong("float needs a number");
                }},
    FunctionRow{"ceil", 1, 1, [](const Arguments& a) { return whole(a, [](double x) { return std::ceil(x); }); }},
    FunctionRow{"floor", 1, 1, [](const Arguments& a) { return whole(a, [](double x) { return std::floor(x); }); }},
    FunctionRow{"log", 1, 1,
                [](const Arguments& a) {
                  return is_number(a[0]) && number_of(a[0]) > 0 ? Computed(Value(std::log(number_of(a[0]))))
                                                                : wrong("log needs a number above 0");
                }},
    FunctionRow{"round", 1, 1, [](const Arguments& a) { return whole(a, [](double x) { return std::nearbyint(x); }); }},
    FunctionRow{"range", 1, 3, range},
    FunctionRow{"starts", 2, 2, [](const Arguments& a) { return affix(a, true); }},
    FunctionRow{"ends", 2, 2, [](const Arguments& a) { return affix(a, false); }},
    FunctionRow{"lower", 1, 1, lower},
    FunctionRow{"list", 1, 1, list_of},
    FunctionRow{"str", 1, 1, to_text},
    FunctionRow{"get", 3, 3, get},
    FunctionRow{"updated", 3, 3, updated},
    FunctionRow{"is_list", 1, 1, [](const Arguments& a) { return Computed(Value(a[0].is_array())); }},
    FunctionRow{"is_string", 1, 1, [](const Arguments& a) { return Computed(Value(a[0].is_string())); }},
    FunctionRow{"is_int", 1, 1, [](const Arguments& a) { return Computed(Value(a[0].is_number_integer())); }},
    FunctionRow{"is_object", 1, 1, [](const Arguments& a) { return Computed(Value(a[0].is_object())); }},
    FunctionRow{"index", 2, 2, index_of},
    FunctionRow{"count", 2, 2, count_of},
    FunctionRow{"sorted", 1, 1, in_order},
    FunctionRow{"split", 2, 2, split_text},
    FunctionRow{"reversed", 1, 1,
                [](const Arguments& a) {
                  Value result = a[0];
                  if (result.is_array()) std::reverse(result.begin(), result.end());
                  return Computed(result);
                }},
};

}  // namespace

Computed apply_operator(std::string_view symbol, const Value& left, const Value& right) {
  if (symbol == "in") return contains(left, right);
  if (symbol == "==" || symbol == "!=" || symbol[0] == '<' || symbol[0] == '>') return compare(symbol, left, right);
  if (symbol == "+" && left.is_string() && right.is_string()) {
    return Value(left.get<std::string>() + right.get<std::string>());
  }
  if (symbol == "+" && left.is_array() && right.is_array()) return join_lists(left, right);
  if (symbol == "*" && left.is_array() && is_integer(right)) return repeat_list(left, integer_of(right));
  if (!is_number(left) || !is_number(right)) {
    return wrong(fmt::format("cannot compute {} {} {}", left.dump(), symbol, right.dump()));
  }
  const bool negative_power = symbol == "**" && number_of(right) < 0;
  if (is_integer(left) && is_integer(right) && symbol != "/" && !negative_power) {
    return integer_arithmetic(symbol, integer_of(left), integer_of(right));
  }
  return float_arithmetic(symbol, number_of(left), number_of(right));
}

std::optional<Computed> call_function(std::string_view name, const std::vector<Value>& arguments) {
  for (const auto& row : functions) {
    if (row.name != name) continue;
    if (arguments.size() < row.least || arguments.size() > row.most) {
      return wrong(fmt::format("{} takes {} to {} arguments", name, row.least, row.most));
    }
    return row.call(arguments);
  }
  return std::nullopt;
}

}  // namespace pippin
