#include <array>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "spec/expression_node.h"

namespace pippin {
namespace {

using Kind = ExpressionNode::Kind;
constexpr int max_depth = 64;

struct Token {
  enum class Type { end, number, text, name, symbol } type = Type::end;
  std::string text;
  Value value;
  size_t position = 0;
};

ExpressionNodePtr make(Kind kind, std::string text, std::vector<ExpressionNodePtr> children = {}) {
  return std::make_shared<ExpressionNode>(ExpressionNode{kind, std::move(text), nullptr, std::move(children), {}});
}

ExpressionNodePtr make_literal(Value value) {
  return std::make_shared<ExpressionNode>(ExpressionNode{Kind::literal, "", std::move(value), {}, {}});
}

class Lexer {
 public:
  Lexer(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  Result<std::vector<Token>> tokens() {
    std::vector<Token> result;
    while (true) {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
      if (at_ >= text_.size()) break;
      PIPPIN_TRY(Token token, next());
      result.push_back(std::move(token));
    }
    Token end;
    end.position = text_.size();
    result.push_back(end);
    return result;
  }

 private:
  [[nodiscard]] auto error(const std::string& what) const {
    return fail(ErrorTag::bad_spec, "an expression must parse",
                fmt::format("{}: {} at character {} of \"{}\"", where_, what, at_ + 1, text_),
                "architectures/README.md lists what expressions can say");
  }

  Result<Token> next() {
    const auto character = static_cast<unsigned char>(text_[at_]);
    if (std::isdigit(character)) return number();
    if (character == '"' || character == '\'') return quoted();
    if (std::isalpha(character) || character == '_') {
      const size_t begin = at_;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
      return Token{Token::Type::name, std::string(text_.substr(begin, at_ - begin)), nullptr, begin};
    }
    static constexpr std::array<std::string_view, 23> symbols{"**", "//", "==", "!=", "<=", ">=", "+", "-",
                                                              "*",  "/",  "%",  "<",  ">",  "(",  ")", "[",
                                                              "]",  ",",  ".",  "=",  ":",  "{",  "}"};
    for (const auto symbol : symbols) {
      if (text_.substr(at_, symbol.size()) == symbol) {
        Token token{Token::Type::symbol, std::string(symbol), nullptr, at_};
        at_ += symbol.size();
        return token;
      }
    }
    return error(fmt::format("unknown character '{}'", text_[at_]));
  }

  Result<Token> number() {
    const size_t begin = at_;
    bool fraction = false;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool exponent_sign = (c == '-' || c == '+') && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E');
      if (c == '.' || c == 'e' || c == 'E')
        fraction = true;
      else if (!std::isdigit(static_cast<unsigned char>(c)) && !exponent_sign)
        break;
      ++at_;
    }
    const std::string digits(text_.substr(begin, at_ - begin));
    Token token{Token::Type::number, digits, nullptr, begin};
    if (fraction) {
      char* end = nullptr;
      token.value = std::strtod(digits.c_str(), &end);
      if (end != digits.c_str() + digits.size()) return error("a malformed number");
    } else {
      int64_t parsed = 0;
      const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
      if (code != std::errc() || end != digits.data() + digits.size()) return error("a number out of range");
      token.value = parsed;
    }
    return token;
  }

  Result<Token> quoted() {
    const char quote = text_[at_];
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return error("a string without an end");
    Token token{Token::Type::text, "", std::string(text_.substr(at_ + 1, end - at_ - 1)), at_};
    at_ = end + 1;
    return token;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

class Parser {
 public:
  Parser(std::vector<Token> tokens, std::string_view text, const std::string& where)
      : tokens_(std::move(tokens)), text_(text), where_(where) {}

  Result<ExpressionNodePtr> whole() {
    PIPPIN_TRY(ExpressionNodePtr node, expression());
    if (peek().type != Token::Type::end) return error("something after the end");
    return node;
  }

 private:
  using Parsed = Result<ExpressionNodePtr>;

  [[nodiscard]] const Token& peek() const { return tokens_[at_]; }
  [[nodiscard]] bool is(std::string_view text) const {
    return (peek().type == Token::Type::symbol || peek().type == Token::Type::name) && peek().text == text;
  }
  bool take(std::string_view text) {
    if (!is(text)) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] tl::unexpected<Error> error(const std::string& what) const {
    return fail(ErrorTag::bad_spec, "an expression must parse",
                fmt::format("{}: {} at character {} of \"{}\"", where_, what, peek().position + 1, text_),
                "architectures/README.md lists what expressions can say");
  }
  Status expect(std::string_view symbol) {
    if (take(symbol)) return {};
    return error(fmt::format("expected '{}'", symbol));
  }

  Parsed expression() {
    if (++depth_ > max_depth) return error("too deeply nested");
    PIPPIN_TRY(ExpressionNodePtr then, disjunction());
    if (take("if")) {
      PIPPIN_TRY(ExpressionNodePtr condition, disjunction());
      std::vector<ExpressionNodePtr> children{then, condition};
      if (take("else")) {
        PIPPIN_TRY(ExpressionNodePtr otherwise, expression());
        children.push_back(otherwise);
      }
      then = make(Kind::conditional, "", std::move(children));
    }
    --depth_;
    return then;
  }

  template <typename Next>
  Parsed chain(std::initializer_list<std::string_view> operators, Next next) {
    PIPPIN_TRY(ExpressionNodePtr left, next());
    while (true) {
      std::string found;
      for (const auto symbol : operators) {
        if (is(symbol)) found = symbol;
      }
      if (found.empty()) return left;
      ++at_;
      PIPPIN_TRY(ExpressionNodePtr right, next());
      left = make(Kind::binary, found, {left, right});
    }
  }

  Parsed disjunction() {
    return chain({"or"}, [this] { return conjunction(); });
  }
  Parsed conjunction() {
    return chain({"and"}, [this] { return negation(); });
  }
  Parsed negation() {
    if (!take("not")) return comparison();
    if (++depth_ > max_depth) return error("too deeply nested");
    PIPPIN_TRY(ExpressionNodePtr inner, negation());
    --depth_;
    return make(Kind::unary, "not", {inner});
  }
  Parsed comparison() {
    PIPPIN_TRY(ExpressionNodePtr left, sum());
    while (true) {
      std::string symbol;
      for (const std::string_view candidate : {"==", "!=", "<", "<=", ">", ">=", "in"}) {
        if (is(candidate)) symbol = candidate;
      }
      const bool negated = symbol.empty() && is("not");
      if (symbol.empty() && !negated) return left;
      ++at_;
      if (negated) {
        PIPPIN_CHECK(expect("in"));
        symbol = "in";
      }
      PIPPIN_TRY(ExpressionNodePtr right, sum());
      left = make(Kind::binary, symbol, {left, right});
      if (negated) left = make(Kind::unary, "not", {left});
    }
  }
  Parsed sum() {
    return chain({"+", "-"}, [this] { return product(); });
  }
  Parsed product() {
    return chain({"*", "/", "//", "%"}, [this] { return unary(); });
  }
  Parsed unary() {
    if (!take("-")) return power();
    if (++depth_ > max_depth) return error("too deeply nested");
    PIPPIN_TRY(ExpressionNodePtr inner, unary());
    --depth_;
    return make(Kind::unary, "-", {inner});
  }
  Parsed power() {
    PIPPIN_TRY(ExpressionNodePtr base, postfix());
    if (!take("**")) return base;
    if (++depth_ > max_depth) return error("too deeply nested");
    PIPPIN_TRY(ExpressionNodePtr exponent, unary());
    --depth_;
    return make(Kind::binary, "**", {base, exponent});
  }

  Parsed postfix() {
    PIPPIN_TRY(ExpressionNodePtr node, atom());
    while (true) {
      if (take("[")) {
        PIPPIN_TRY(node, subscript(node));
      } else if (take(".")) {
        if (peek().type != Token::Type::name) return error("expected a field name");
        node = make(Kind::index, "", {node, make_literal(tokens_[at_++].text)});
      } else if (node->kind == Kind::name && take("(")) {
        PIPPIN_TRY(node, call(node->text));
      } else {
        return node;
      }
    }
  }

  Parsed subscript(const ExpressionNodePtr& object) {
    ExpressionNodePtr begin = make_literal(nullptr);
    if (!is(":")) {
      PIPPIN_TRY(begin, expression());
    }
    if (take("]")) return make(Kind::index, "", {object, begin});
    PIPPIN_CHECK(expect(":"));
    ExpressionNodePtr end = make_literal(nullptr);
    if (!is("]")) {
      PIPPIN_TRY(end, expression());
    }
    PIPPIN_CHECK(expect("]"));
    return make(Kind::slice, "", {object, begin, end});
  }

  Parsed call(const std::string& function) {
    std::vector<ExpressionNodePtr> positional;
    std::vector<ExpressionNodePtr> named;
    std::vector<std::string> keywords;
    while (!take(")")) {
      if (!positional.empty() || !named.empty()) {
        PIPPIN_CHECK(expect(","));
      }
      const bool keyword = peek().type == Token::Type::name && tokens_[at_ + 1].type == Token::Type::symbol &&
                           tokens_[at_ + 1].text == "=";
      if (keyword) {
        keywords.push_back(peek().text);
        at_ += 2;
      } else if (!keywords.empty()) {
        return error("a positional argument after a named one");
      }
      PIPPIN_TRY(ExpressionNodePtr argument, expression());
      (keyword ? named : positional).push_back(argument);
    }
    positional.insert(positional.end(), named.begin(), named.end());
    return std::make_shared<ExpressionNode>(
        ExpressionNode{Kind::call, function, nullptr, std::move(positional), std::move(keywords)});
  }

  Parsed list() {
    std::vector<ExpressionNodePtr> items;
    while (!take("]")) {
      if (!items.empty()) {
        PIPPIN_CHECK(expect(","));
      }
      PIPPIN_TRY(ExpressionNodePtr item, expression());
      items.push_back(item);
      if (items.size() == 1 && take("for")) return comprehension(item);
    }
    return make(Kind::list, "", std::move(items));
  }

  Parsed comprehension(const ExpressionNodePtr& element) {
    if (peek().type != Token::Type::name) return error("expected a variable");
    const std::string variable = tokens_[at_++].text;
    PIPPIN_CHECK(expect("in"));
    PIPPIN_TRY(ExpressionNodePtr over, disjunction());
    std::vector<ExpressionNodePtr> children{element, over};
    if (take("if")) {
      PIPPIN_TRY(ExpressionNodePtr condition, disjunction());
      children.push_back(condition);
    }
    PIPPIN_CHECK(expect("]"));
    return make(Kind::comprehension, variable, std::move(children));
  }

  Parsed atom() {
    const Token& token = peek();
    switch (token.type) {
      case Token::Type::number:
      case Token::Type::text:
        ++at_;
        return make_literal(token.value);
      case Token::Type::name:
        return word();
      case Token::Type::symbol:
        if (take("(")) {
          PIPPIN_TRY(ExpressionNodePtr inner, expression());
          PIPPIN_CHECK(expect(")"));
          return inner;
        }
        if (take("[")) return list();
        return error(fmt::format("unexpected '{}'", token.text));
      case Token::Type::end:
        return error("an unexpected end");
    }
    return error("an unexpected end");
  }

  Parsed word() {
    const std::string text = tokens_[at_].text;
    if (text == "in" || text == "if" || text == "else" || text == "and" || text == "or" || text == "for") {
      return error(fmt::format("unexpected '{}'", text));
    }
    ++at_;
    if (text == "true" || text == "True") return make_literal(true);
    if (text == "false" || text == "False") return make_literal(false);
    if (text == "none" || text == "None") return make_literal(nullptr);
    return make(Kind::name, text);
  }

  std::vector<Token> tokens_;
  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<ExpressionNodePtr> parse_expression(std::string_view text, const std::string& where) {
  PIPPIN_TRY(std::vector<Token> tokens, Lexer(text, where).tokens());
  return Parser(std::move(tokens), text, where).whole();
}

}  // namespace pippin
