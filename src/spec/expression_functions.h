// The operators and built-in functions of expressions, on values alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/expression.h"

namespace pippin {

// A value, or what is wrong in words.
using Computed = tl::expected<Value, std::string>;

// left op right for + - * / // % ** == != < <= > >= in.
Computed apply_operator(std::string_view symbol, const Value& left, const Value& right);

// One of the built-in functions; nothing where there is none of that name:
//   len(x) min(a, b..) max(a, b..) sum(list) any(list) all(list) abs(x) int(x) ceil(x) floor(x) round(x)
//   range(n) range(a, b) range(a, b, step) starts(s, prefix) ends(s, suffix) lower(s) get(object, key, default)
//   list(string) is_list(x) is_string(x) is_int(x) index(list, x) count(list, x) sorted(list) split(s, separator)
//   reversed(list)
std::optional<Computed> call_function(std::string_view name, const std::vector<Value>& arguments);

}  // namespace pippin
