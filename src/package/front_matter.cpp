#include "package/front_matter.h"

#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "source/ascii_text.h"

namespace pippin {
namespace {

using Lines = std::vector<std::string>;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\n";
  const auto begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool is_fence(std::string_view line) {
  return line.starts_with("---") && trimmed(line.substr(3)).empty();
}

bool is_blank_or_comment(std::string_view line) {
  const auto content = trimmed(line);
  return content.empty() || content.starts_with('#');
}

// Where the colon after a key at the line's begin is, or npos.
size_t colon_of_key(std::string_view line) {
  size_t colon = std::string_view::npos;
  if (line.starts_with('"') || line.starts_with('\'')) {
    const auto close = line.find(line[0], 1);
    if (close != std::string_view::npos) colon = line.find_first_not_of(" \t", close + 1);
    if (colon != std::string_view::npos && line[colon] != ':') return std::string_view::npos;
  } else if (!line.empty() && std::string_view(" \t-[]{},#&*!|>%@`?:").find(line[0]) == std::string_view::npos) {
    colon = line.find(':');
    while (colon < line.size() - 1 && line[colon + 1] != ' ' && line[colon + 1] != '\t')
      colon = line.find(':', colon + 1);
  }
  return colon < line.size() ? colon : std::string_view::npos;
}

// A one-line value without its comment and quotes; nothing for what is no plain or quoted scalar.
std::optional<std::string> unquoted(std::string_view value) {
  value = trimmed(value);
  if (value.empty()) return std::string();
  if (value[0] == '"' || value[0] == '\'') {
    const auto close = value.find(value[0], 1);
    if (close == std::string_view::npos || !is_blank_or_comment(value.substr(close + 1))) return std::nullopt;
    return std::string(value.substr(1, close - 1));
  }
  if (value[0] == '#') return std::string();
  if (std::string_view("[{|>&*!%@`").find(value[0]) != std::string_view::npos) return std::nullopt;
  return std::string(trimmed(value.substr(0, value.find(" #"))));
}

bool is_null(std::string_view value) {
  return value.empty() || value == "~" || value == "null" || value == "Null" || value == "NULL";
}

bool is_item(std::string_view line) {
  const auto content = trimmed(line);
  return content == "-" || content.starts_with("- ");
}

// A flow list "[a, 'b']" that begins the text: where it ends and what it holds. Nothing for a nested one.
struct FlowList {
  std::vector<std::string> items;
  size_t close = std::string::npos;
};

std::optional<FlowList> flow_list_of(std::string_view text) {
  FlowList list;
  char quote = 0;
  size_t begin = 1;
  for (size_t place = 1; place < text.size() && list.close == std::string::npos; ++place) {
    const char c = text[place];
    if (quote) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && trimmed(text.substr(begin, place - begin)).empty()) {
      quote = c;
    } else if (c == '[' || c == '{' || c == '#') {
      return std::nullopt;
    } else if (c == ',' || c == ']') {
      if (const auto item = trimmed(text.substr(begin, place - begin)); !item.empty())
        list.items.push_back(unquoted(item).value_or(""));
      begin = place + 1;
      if (c == ']') list.close = place;
    }
  }
  if (list.close == std::string::npos) return std::nullopt;
  return list;
}

std::string_view after_key(std::string_view line) {
  return trimmed(line.substr(colon_of_key(line) + 1));
}

// The three below take a field's lines and give them with the value among the list; nothing for another kind of value.
std::optional<Lines> flow_list_with(const Lines& lines, std::string_view value) {
  if (lines.empty() || !after_key(lines[0]).starts_with('[')) return std::nullopt;
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  const size_t open = text.find('[', colon_of_key(lines[0]));
  const auto list = flow_list_of(std::string_view(text).substr(open));
  if (!list) return std::nullopt;
  if (std::find(list->items.begin(), list->items.end(), value) != list->items.end()) return lines;
  text.insert(open + list->close, (list->items.empty() ? "" : ", ") + yaml_scalar(value));
  return lines_of(text);
}

std::optional<Lines> block_list_with(const Lines& lines, std::string_view value) {
  if (lines.empty() || !is_blank_or_comment(after_key(lines[0]))) return std::nullopt;
  const auto first = std::find_if_not(lines.begin() + 1, lines.end(), is_blank_or_comment);
  if (first == lines.end() || !is_item(*first)) return std::nullopt;
  const size_t indent = first->find('-');
  for (auto line = first; line != lines.end(); ++line)
    if (is_item(*line) && line->find('-') == indent && unquoted(trimmed(*line).substr(1)) == value) return lines;
  Lines longer = lines;
  longer.push_back(std::string(indent, ' ') + "- " + yaml_scalar(value));
  return longer;
}

Lines single_value_with(std::string_view key, const std::optional<std::string>& single, std::string_view value) {
  Lines lines{std::string(key) + ":"};
  if (single && !is_null(*single) && *single != value) lines.push_back("- " + yaml_scalar(*single));
  lines.push_back("- " + yaml_scalar(value));
  return lines;
}

std::string_view without_space_before(std::string_view readme) {
  if (readme.starts_with("\xef\xbb\xbf")) readme.remove_prefix(3);
  return readme.substr(std::min(readme.find_first_not_of(" \t\r\n"), readme.size()));
}

}  // namespace

bool FrontMatter::is_begun_by(std::string_view readme) {
  readme = without_space_before(readme);
  return is_fence(readme.substr(0, readme.find_first_of("\r\n")));
}

std::optional<FrontMatter> FrontMatter::of_readme(std::string_view readme) {
  if (!is_begun_by(readme)) return std::nullopt;
  const Lines lines = lines_of(without_space_before(readme));
  const auto end = std::find_if(lines.begin() + 1, lines.end(), is_fence);
  if (end == lines.end()) return std::nullopt;

  FrontMatter front;
  for (auto line = lines.begin() + 1; line != end; ++line) {
    if (!simdjson::validate_utf8(*line)) return std::nullopt;
    const bool continues = line->empty() || line->starts_with(' ') || is_blank_or_comment(*line) || is_item(*line);
    if (const auto colon = colon_of_key(*line); !continues && colon != std::string::npos) {
      front.fields_.push_back({unquoted(line->substr(0, colon)).value_or(""), {}, 0});
    } else if (!continues) {
      return std::nullopt;
    } else if (front.fields_.empty()) {
      if (!is_blank_or_comment(*line)) return std::nullopt;
      front.fields_.push_back({});
    }
    auto& field = front.fields_.back();
    field.lines.push_back(*line);
    if (!is_blank_or_comment(*line)) field.value_lines = field.lines.size();
  }
  return front;
}

const FrontMatter::Field* FrontMatter::find(std::string_view key) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return field.key == key; });
  return found == fields_.end() || key.empty() ? nullptr : &*found;
}

bool FrontMatter::has(std::string_view key) const {
  const auto* field = find(key);
  if (!field) return false;
  const auto value = scalar(key);
  return !value || !is_null(*value);
}

std::optional<std::string> FrontMatter::scalar(std::string_view key) const {
  const auto* field = find(key);
  if (!field || field->value_lines != 1) return std::nullopt;
  const auto& line = field->lines[0];
  return unquoted(line.substr(colon_of_key(line) + 1));
}

void FrontMatter::replace(std::string_view key, Lines lines) {
  auto place = std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return field.key == key; });
  if (place == fields_.end()) {
    fields_.push_back({std::string(key), std::move(lines), 0});
    fields_.back().value_lines = fields_.back().lines.size();
    return;
  }
  const auto after_value = place->lines.begin() + static_cast<std::ptrdiff_t>(place->value_lines);
  const size_t value_lines = lines.size();
  lines.insert(lines.end(), after_value, place->lines.end());
  place->lines = std::move(lines);
  place->value_lines = value_lines;
  // A key that stands twice would make the card invalid.
  fields_.erase(std::remove_if(place + 1, fields_.end(), [&](const Field& field) { return field.key == key; }),
                fields_.end());
}

void FrontMatter::set(std::string_view key, std::string_view value) {
  if (scalar(key) == value) return;
  replace(key, {std::string(key) + ": " + yaml_scalar(value)});
}

void FrontMatter::add_to_list(std::string_view key, std::string_view value) {
  const auto* field = find(key);
  Lines lines;
  if (field) lines.assign(field->lines.begin(), field->lines.begin() + static_cast<std::ptrdiff_t>(field->value_lines));
  auto changed = flow_list_with(lines, value);
  if (!changed) changed = block_list_with(lines, value);
  if (!changed) changed = single_value_with(key, scalar(key), value);
  replace(key, std::move(*changed));
}

std::string FrontMatter::text() const {
  std::string text = "---\n";
  for (const auto& field : fields_)
    for (const auto& line : field.lines) text += line + "\n";
  return text + "---\n";
}

std::string yaml_scalar(std::string_view text) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
  constexpr std::string_view reserved[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
  const std::string lower = lower_case(text);
  const bool plain = !text.empty() && letters.find(text[0]) != std::string_view::npos &&
                     text.find_first_not_of(safe) == std::string_view::npos &&
                     std::find(std::begin(reserved), std::end(reserved), lower) == std::end(reserved);
  if (plain) return std::string(text);
  // JSON text is YAML text.
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace pippin
