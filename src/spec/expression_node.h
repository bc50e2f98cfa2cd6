// The parsed form of an expression; shared by the parser and the evaluator only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "spec/expression.h"

namespace pippin {

struct ExpressionNode {
  enum class Kind {
    literal,        // value
    name,           // text
    list,           // children
    unary,          // text: "-" or "not"
    binary,         // text: the operator; children: left, right
    conditional,    // children: then, condition[, else]
    index,          // children: object, key
    slice,          // children: object, begin, end (literal null where left out)
    call,           // text: function; children: positional, then one for each of `keywords`
    comprehension,  // text: variable; children: element, list[, condition]
  };
  Kind kind;
  std::string text;
  Value value;
  std::vector<std::shared_ptr<const ExpressionNode>> children;
  std::vector<std::string> keywords;
};

using ExpressionNodePtr = std::shared_ptr<const ExpressionNode>;

// Parses the whole text; the error's value says where in it.
Result<ExpressionNodePtr> parse_expression(std::string_view text, const std::string& where);

}  // namespace pippin
