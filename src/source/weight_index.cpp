#include "source/weight_index.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <map>

#include "source/byte_source.h"
#include "source/foreign_file.h"
#include "source/quoted_text.h"

namespace pippin {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t largest_index = uint64_t{256} << 20;
constexpr std::string_view way_out = "download the index again, or remove it if the files beside it are complete";

tl::unexpected<Error> bad_index(std::string rule, std::string value) {
  return fail(ErrorTag::bad_file, std::move(rule), std::move(value), std::string(way_out));
}

// Whether a relative path names something inside the folder it is relative to.
bool stays_inside(std::string_view name) {
  if (name.empty() || name.find('\\') != std::string_view::npos || name.find('\0') != std::string_view::npos)
    return false;
  const std::filesystem::path path(name);
  if (path.is_absolute() || !path.has_filename()) return false;
  return std::ranges::none_of(path, [](const auto& part) { return part == ".." || part == "."; });
}

Result<WeightIndex> index_of(dom::object weight_map, std::string_view where) {
  WeightIndex index;
  std::map<std::string, uint32_t, std::less<>> places;
  std::vector<std::pair<std::string_view, const std::string*>> rows;
  for (const auto field : weight_map) {
    std::string_view file;
    if (field.value.get(file) != simdjson::SUCCESS) {
      return bad_index("weight_map gives each tensor the name of its file",
                       fmt::format("{}: the value of {} is no string", where, in_quotes(field.key)));
    }
    if (!stays_inside(file)) {
      return bad_index("the files of an index lie in its folder",
                       fmt::format("{}: {} lies in {}", where, in_quotes(field.key), in_quotes(file)));
    }
    auto place = places.find(file);
    if (place == places.end()) place = places.emplace(std::string(file), 0).first;
    rows.emplace_back(field.key, &place->first);
  }
  for (auto& [file, number] : places) {
    number = static_cast<uint32_t>(index.files.size());
    index.files.push_back(file);
  }
  std::ranges::sort(rows, [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [tensor, file] : rows) {
    const uint32_t number = places.find(*file)->second;
    if (!index.rows.empty() && index.rows.back().tensor == tensor) {
      if (index.rows.back().file == number) continue;
      return bad_index("an index gives each tensor one file",
                       fmt::format("{}: {} lies in {} and in {}", where, in_quotes(tensor),
                                   in_quotes(index.files[index.rows.back().file]), in_quotes(*file)));
    }
    index.rows.push_back({std::string(tensor), number});
  }
  return index;
}

Result<WeightIndex> parse(const simdjson::padded_string& text, std::string_view where) {
  if (auto foreign = error_of_foreign_file(std::string_view(text), where))
    return tl::unexpected<Error>(std::move(*foreign));
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(text).get(root)) {
    return bad_index("the index is JSON text in UTF-8", fmt::format("{}: {}", where, simdjson::error_message(error)));
  }
  dom::object object;
  if (root.get(object) != simdjson::SUCCESS) {
    return bad_index("the index is a JSON object", fmt::format("{} holds another JSON value", where));
  }
  dom::object weight_map;
  if (object["weight_map"].get(weight_map) != simdjson::SUCCESS) {
    return bad_index("the index has an object weight_map", fmt::format("{} has none", where));
  }
  if (weight_map.begin() == weight_map.end()) {
    return bad_index("weight_map names the files of the model", fmt::format("{}: weight_map is empty", where));
  }
  return index_of(weight_map, where);
}

}  // namespace

Result<WeightIndex> parse_weight_index(std::string_view text, std::string_view where) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return parse(simdjson::padded_string(text), where);
}

Result<WeightIndex> read_weight_index(const std::filesystem::path& path) {
  PIPPIN_TRY(const auto file, open_file(path.string()));
  if (file->size() > largest_index) {
    return bad_index(fmt::format("an index has at most {} bytes", largest_index),
                     fmt::format("{} has {} bytes", file->name(), file->size()));
  }
  std::string text(file->size(), '\0');
  PIPPIN_CHECK(file->read(0, std::as_writable_bytes(std::span(text))));
  return parse_weight_index(text, file->name());
}

}  // namespace pippin
