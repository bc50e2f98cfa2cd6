#include "source/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "source/byte_source.h"
#include "source/foreign_file.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t deepest = 200;
constexpr uint64_t largest_file = uint64_t{64} << 20;

struct Literal {
  std::string_view token;
  std::string_view tagged;
};
constexpr Literal literals[] = {
    {"NaN", R"({"__float__": "NaN"})"},
    {"-Infinity", R"({"__float__": "-Infinity"})"},
    {"Infinity", R"({"__float__": "Infinity"})"},
};

// The text with the literals that JSON does not know written as transformers tags them; nothing where it has none.
std::optional<std::string> tag_literals(std::string_view text) {
  std::string out;
  size_t copied = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == 'N' || c == 'I' || c == '-') {
      for (const auto& literal : literals) {
        if (!text.substr(i).starts_with(literal.token)) continue;
        out += text.substr(copied, i - copied);
        out += literal.tagged;
        copied = i + literal.token.size();
        i = copied - 1;
        break;
      }
    }
  }
  if (copied == 0) return std::nullopt;
  out += text.substr(copied);
  return out;
}

// Builds the value from parse events. nlohmann's own builder looks every key up by a walk over the object, which takes
// minutes for an object of a million keys, and knows no limit to the depth.
class Builder {
 public:
  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& /*text*/) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t& /*value*/) { return false; }
  bool start_object(size_t /*size*/) { return open(true); }
  bool start_array(size_t /*size*/) { return open(false); }
  bool key(std::string& name) {
    open_.back().members.emplace_back(std::move(name), nullptr);
    return true;
  }
  bool end_object() { return add(object_of(close())); }
  bool end_array() {
    Json array = Json::array();
    auto& elements = array.get_ref<Json::array_t&>();
    auto members = close();
    elements.reserve(members.size());
    for (auto& member : members) elements.push_back(std::move(member.second));
    return add(std::move(array));
  }
  bool parse_error(size_t position, const std::string& /*token*/, const nlohmann::detail::exception& error) {
    position_ = position;
    problem_ = error.what();
    return false;
  }

  Json take() { return std::move(root_); }
  [[nodiscard]] bool too_deep() const { return open_.size() > deepest; }
  [[nodiscard]] size_t position() const { return position_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  using Members = std::vector<std::pair<std::string, Json>>;
  struct Container {
    bool is_object;
    Members members;  // of an array without keys
  };

  bool open(bool is_object) {
    open_.push_back({is_object, {}});
    return !too_deep();
  }

  Members close() {
    Members members = std::move(open_.back().members);
    open_.pop_back();
    return members;
  }

  bool add(Json value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (open_.back().is_object)
      open_.back().members.back().second = std::move(value);
    else
      open_.back().members.emplace_back(std::string{}, std::move(value));
    return true;
  }

  // A repeated key keeps its first place and its last value, as in Python.
  static Json object_of(Members members) {
    std::unordered_map<std::string_view, size_t> first;
    std::vector<size_t> kept;
    for (size_t i = 0; i < members.size(); ++i) {
      const auto [place, is_new] = first.try_emplace(members[i].first, i);
      if (is_new)
        kept.push_back(i);
      else
        members[place->second].second = std::move(members[i].second);
    }
    Json object = Json::object();
    auto& map = object.get_ref<Json::object_t&>();
    map.reserve(kept.size());
    for (const size_t i : kept) map.emplace_back(std::move(members[i].first), std::move(members[i].second));
    return object;
  }

  std::vector<Container> open_;
  Json root_;
  size_t position_ = 0;
  std::string problem_;
};

// "line 3, column 7" of a byte of the text.
std::string place_of(std::string_view text, size_t position) {
  const std::string_view before = text.substr(0, std::min(text.size(), position > 0 ? position - 1 : 0));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t begin = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("line {}, column {}", lines + 1, before.size() - begin + 1);
}

tl::unexpected<Error> not_json(std::string value) {
  return fail(ErrorTag::bad_file, "the file is JSON text in UTF-8", std::move(value), "download the file again");
}

tl::unexpected<Error> syntax_error(std::string_view text, std::string_view where, const Builder& builder) {
  const std::string& problem = builder.problem();
  if (problem.find("ill-formed UTF-8") != std::string::npos) {
    return not_json(fmt::format("{}: not UTF-8 at {}", where, place_of(text, builder.position())));
  }
  if (problem.find("number overflow") != std::string::npos) {
    return not_json(fmt::format("{}: a number too large at {}", where, place_of(text, builder.position())));
  }
  if (builder.position() > text.size()) return not_json(fmt::format("{}: ends in the middle of a value", where));
  return not_json(fmt::format("{}: not JSON at {}", where, place_of(text, builder.position())));
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view where) {
  if (auto foreign = error_of_foreign_file(text, where)) return tl::unexpected<Error>(std::move(*foreign));
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return not_json(fmt::format("{}: UTF-16 text", where));
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return not_json(fmt::format("{}: empty", where));

  const auto tagged = tag_literals(text);
  if (tagged) text = *tagged;
  Builder builder;
  if (Json::sax_parse(text, &builder)) return builder.take();
  if (builder.too_deep()) {
    return fail(ErrorTag::bad_file, fmt::format("JSON is nested at most {} levels deep", deepest),
                fmt::format("{}: nested deeper", where));
  }
  return syntax_error(text, where, builder);
}

Result<Json> read_json(const std::filesystem::path& path) {
  PIPPIN_TRY(const auto file, open_file(path.string()));
  if (file->size() > largest_file) {
    return fail(ErrorTag::bad_file, fmt::format("a JSON file has at most {} bytes", largest_file),
                fmt::format("{} has {} bytes", file->name(), file->size()));
  }
  std::string text(file->size(), '\0');
  PIPPIN_CHECK(file->read(0, std::as_writable_bytes(std::span(text))));
  return parse_json(text, file->name());
}

}  // namespace pippin
