#include "spec/name_pattern.h"

#include <charconv>

#include <fmt/format.h>

#include "source/ascii_text.h"

namespace pippin {
namespace {

tl::unexpected<Error> bad_pattern(const std::string& where, std::string_view text, const std::string& what) {
  return fail(ErrorTag::bad_spec, "a name pattern must parse", fmt::format("{}: {} in \"{}\"", where, what, text),
              "architectures/README.md lists what patterns can say");
}

bool is_identifier(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!fine) return false;
  }
  return true;
}

}  // namespace

Result<NamePattern> NamePattern::parse(std::string_view text, const std::string& where) {
  NamePattern pattern;
  pattern.text_ = text;
  using Type = Part::Type;
  const auto literal = [&pattern](char c) {
    if (pattern.parts_.empty() || pattern.parts_.back().type != Type::literal) {
      pattern.parts_.push_back({Type::literal, "", "", {}});
    }
    pattern.parts_.back().text += c;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '*') {
      const bool twice = i + 1 < text.size() && text[i + 1] == '*';
      pattern.parts_.push_back({twice ? Type::double_star : Type::star, "", "", {}});
      i += twice ? 1 : 0;
    } else if (text[i] == '{') {
      const size_t end = text.find('}', i);
      if (end == std::string_view::npos) return bad_pattern(where, text, "'{' without '}'");
      std::string_view inside = text.substr(i + 1, end - i - 1);
      i = end;
      Part part{Type::component, "", "", {}};
      const size_t colon = inside.find(':');
      if (colon != std::string_view::npos || inside.find('|') == std::string_view::npos) {
        part.name = inside.substr(0, colon);
        if (!is_identifier(part.name)) return bad_pattern(where, text, "a capture needs a name");
        if (part.name.size() == 1) part.type = Type::number;
      }
      if (colon != std::string_view::npos || part.name.empty()) {
        const std::string_view choice = colon == std::string_view::npos ? inside : inside.substr(colon + 1);
        if (choice == "**")
          part.type = Type::double_star;
        else if (choice == "*")
          part.type = Type::star;
        else {
          part.type = Type::alternatives;
          part.alternatives = parts_of(choice, "|");
        }
      }
      pattern.parts_.push_back(std::move(part));
    } else {
      literal(text[i]);
    }
  }
  if (pattern.parts_.size() > 32) return bad_pattern(where, text, "more than 32 parts");
  return pattern;
}

bool NamePattern::literal() const {
  return parts_.empty() || (parts_.size() == 1 && parts_[0].type == Part::Type::literal);
}

// Backtracking match; captures are kept as views until the end. Steps are bounded against hostile names.
class PatternMatcher {
 public:
  PatternMatcher(const NamePattern& pattern, std::string_view name) : parts_(pattern.parts_), name_(name) {}

  std::optional<Captures> run() {
    if (!quick() || !from(0, 0)) return std::nullopt;
    Captures captures;
    for (const auto& [part, text] : found_) {
      if (part->name.empty()) continue;
      Value value = std::string(text);
      if (part->type == Type::number) {
        int64_t number = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
        value = number;
      }
      captures.insert_or_assign(part->name, std::move(value));
    }
    return captures;
  }

 private:
  using Part = NamePattern::Part;
  using Type = Part::Type;
  static constexpr int max_steps = 100000;

  [[nodiscard]] bool quick() const {
    if (parts_.empty()) return name_.empty();
    const Part& first = parts_.front();
    const Part& last = parts_.back();
    return (first.type != Type::literal || name_.starts_with(first.text)) &&
           (last.type != Type::literal || name_.ends_with(last.text));
  }

  // NOLINTNEXTLINE(misc-no-recursion): at most one level a part
  bool from(size_t part, size_t at) {
    if (++steps_ > max_steps) return false;
    if (part == parts_.size()) return at == name_.size();
    const Part& p = parts_[part];
    const std::string_view rest = name_.substr(at);
    switch (p.type) {
      case Type::literal:
        return rest.starts_with(p.text) && from(part + 1, at + p.text.size());
      case Type::alternatives:
        for (const auto& choice : p.alternatives) {
          if (rest.starts_with(choice) && take(part, at, choice.size())) return true;
        }
        return false;
      case Type::double_star:
        return longest_first(part, at, rest.size(), 0);
      case Type::star:
        return longest_first(part, at, std::min(rest.find('.'), rest.size()), 0);
      case Type::component:
        return longest_first(part, at, std::min(rest.find('.'), rest.size()), 1);
      case Type::number:
        return longest_first(part, at, std::min(rest.find_first_not_of("0123456789"), rest.size()), 1);
    }
    return false;
  }

  // Shortest first for wildcards would find the same names; longest first gives captures their usual greedy meaning.
  // NOLINTNEXTLINE(misc-no-recursion)
  bool longest_first(size_t part, size_t at, size_t most, size_t least) {
    if (part + 1 == parts_.size()) return most + at == name_.size() && most >= least && take(part, at, most);
    for (size_t size = most + 1; size-- > least;) {
      if (take(part, at, size)) return true;
    }
    return false;
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  bool take(size_t part, size_t at, size_t size) {
    const Part& p = parts_[part];
    const std::string_view text = name_.substr(at, size);
    if (!p.name.empty()) {
      for (const auto& [other, value] : found_) {
        if (other->name == p.name && value != text) return false;
      }
    }
    found_.emplace_back(&p, text);
    if (from(part + 1, at + size)) return true;
    found_.pop_back();
    return false;
  }

  const std::vector<Part>& parts_;
  std::string_view name_;
  std::vector<std::pair<const Part*, std::string_view>> found_;
  int steps_ = 0;
};

std::optional<Captures> NamePattern::match(std::string_view name) const {
  return PatternMatcher(*this, name).run();
}

Result<NameTemplate> NameTemplate::parse(std::string_view text, const std::string& where) {
  NameTemplate result;
  result.text_ = text;
  size_t at = 0;
  while (at < text.size()) {
    const size_t open = text.find('{', at);
    if (open != at) result.parts_.push_back({std::string(text.substr(at, open - at)), std::nullopt});
    if (open == std::string_view::npos) break;
    const size_t close = text.find('}', open);
    if (close == std::string_view::npos) return bad_pattern(where, text, "'{' without '}'");
    PIPPIN_TRY(Expression expression, Expression::parse(text.substr(open + 1, close - open - 1), where));
    result.parts_.push_back({"", std::move(expression)});
    at = close + 1;
  }
  return result;
}

Result<std::string> NameTemplate::fill(const Environment& environment) const {
  std::string name;
  for (const auto& part : parts_) {
    if (!part.expression) {
      name += part.literal;
      continue;
    }
    PIPPIN_TRY(Value value, part.expression->evaluate(environment));
    name += value.is_string() ? value.get<std::string>() : value.dump();
  }
  return name;
}

// NOLINTNEXTLINE(misc-no-recursion): one level for each pair of braces
std::vector<std::string> expand_alternatives(std::string_view text) {
  for (size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const size_t close = text.find('}', open);
    if (close == std::string_view::npos) break;
    const std::string_view inside = text.substr(open + 1, close - open - 1);
    if (inside.find('|') == std::string_view::npos || inside.find(':') != std::string_view::npos) continue;
    std::vector<std::string> result;
    for (const auto& choice : parts_of(inside, "|")) {
      for (const auto& rest : expand_alternatives(text.substr(close + 1))) {
        result.push_back(std::string(text.substr(0, open)) + choice + rest);
      }
    }
    return result;
  }
  return {std::string(text)};
}

}  // namespace pippin
