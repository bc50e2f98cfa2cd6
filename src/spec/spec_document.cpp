#include "spec/spec_document.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "spec/name_pattern.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

// NOLINTNEXTLINE(misc-no-recursion): toml++ bounds the nesting
Json to_json(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    std::vector<std::tuple<uint32_t, uint32_t, std::string, const toml::node*>> ordered;
    for (const auto& [key, value] : *table) {
      const auto begin = key.source().begin;
      ordered.emplace_back(begin.line, begin.column, std::string(key.str()), &value);
    }
    std::sort(ordered.begin(), ordered.end());
    Json object = Json::object();
    for (const auto& [line, column, key, value] : ordered) object[key] = to_json(*value);
    return object;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& item : *array) list.push_back(to_json(item));
    return list;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  return nullptr;
}

constexpr std::array<std::string_view, 6> joined{"weights",      "quantize",   "packed",
                                                 "config_edits", "keep_dtype", "uncounted"};
constexpr std::array<std::string_view, 8> own{"model_type", "architecture", "title",  "notes",
                                              "extends",    "reset",        "refuse", "fragment"};

Status reset(Json& base, const std::string& path, const std::string& where) {
  Json* at = &base;
  std::string rest = path;
  for (size_t dot = rest.find('.'); dot != std::string::npos && at->is_object() && !at->contains(rest);
       dot = rest.find('.')) {
    const std::string key = rest.substr(0, dot);
    if (!at->contains(key)) break;
    at = &(*at)[key];
    rest = rest.substr(dot + 1);
  }
  if (!at->is_object() || !at->contains(rest)) {
    return fail(ErrorTag::bad_spec, "reset names what the extended spec has",
                fmt::format("{}: reset of \"{}\"", where, path),
                "see the extended spec with `pippin architectures show`");
  }
  at->erase(rest);
  return {};
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by the document
void merge_into(Json& base, const Json& child) {
  for (const auto& [key, value] : child.items()) {
    if (value.is_object() && base.contains(key) && base[key].is_object())
      merge_into(base[key], value);
    else
      base[key] = value;
  }
}

}  // namespace

Result<Json> parse_toml(std::string_view text, const std::string& where) {
  try {
    return to_json(toml::parse(text, where));
  } catch (const toml::parse_error& error) {
    return fail(
        ErrorTag::bad_spec, "a spec file must be TOML",
        fmt::format("{}:{}:{}: {}", where, error.source().begin.line, error.source().begin.column, error.description()),
        "mend the line; see https://toml.io");
  }
}

void expand_module_keys(Json& document) {
  if (!document.is_object() || !document.contains("modules") || !document["modules"].is_object()) return;
  for (auto& [name, group] : document["modules"].items()) {
    if (!group.is_object()) continue;
    Json expanded = Json::object();
    for (const auto& [key, value] : group.items()) {
      for (const auto& one : expand_alternatives(key)) expanded[one] = value;
    }
    group = std::move(expanded);
  }
}

Result<Json> merge_documents(Json base, const Json& child, const std::string& where) {
  for (const auto key : own) base.erase(std::string(key));
  // That a model runs as another does is said, never assumed.
  if (!child.contains("decoder")) base.erase("decoder");
  if (child.contains("reset")) {
    if (!child["reset"].is_array()) return fail(ErrorTag::bad_spec, "reset is a list of paths", where);
    for (const auto& path : child["reset"]) {
      if (!path.is_string()) return fail(ErrorTag::bad_spec, "reset is a list of paths", where);
      PIPPIN_CHECK(reset(base, path.get<std::string>(), where));
    }
  }
  Json rest = child;
  rest.erase("reset");
  rest.erase("extends");
  for (const auto key : joined) {
    const std::string name(key);
    if (!base.contains(name) || !rest.contains(name)) continue;
    if (!base[name].is_array() || !rest[name].is_array()) continue;
    for (const auto& item : rest[name]) base[name].push_back(item);
    rest.erase(name);
  }
  merge_into(base, rest);
  return base;
}

}  // namespace pippin
