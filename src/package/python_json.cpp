#include "package/python_json.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string_view>

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* float_tag = "__float__";

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string_view nonfinite_name(double value) {
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "Infinity" : "-Infinity";
}

// "NaN", "Infinity" or "-Infinity" where the value is one of them, in either form.
std::optional<std::string> nonfinite_of(const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    return std::string(nonfinite_name(value.get<double>()));
  if (!value.is_object() || value.size() != 1 || value.begin().key() != float_tag || !value.begin()->is_string())
    return std::nullopt;
  auto name = value.begin()->get<std::string>();
  if (name != "NaN" && name != "Infinity" && name != "-Infinity") return std::nullopt;
  return name;
}

class Writer {
 public:
  explicit Writer(NonfiniteForm form) : form_(form) {}

  void write(const Json& value, size_t depth) {
    if (const auto name = nonfinite_of(value)) {
      write_nonfinite(*name, depth);
    } else if (value.is_object()) {
      write_members(value, depth, "{}");
    } else if (value.is_array()) {
      write_members(value, depth, "[]");
    } else if (value.is_string()) {
      text_ += quoted(value.get_ref<const std::string&>());
    } else if (value.is_number_float()) {
      text_ += python_float(value.get<double>());
    } else {
      text_ += value.dump();
    }
  }

  std::string take() { return std::move(text_); }

 private:
  void write_nonfinite(const std::string& name, size_t depth) {
    if (form_ == NonfiniteForm::literal) {
      text_ += name;
    } else {
      write_members(Json{{float_tag, name}}, depth, "{}");
    }
  }

  void write_members(const Json& value, size_t depth, std::string_view brackets) {
    text_ += brackets[0];
    for (auto member = value.begin(); member != value.end(); ++member) {
      if (member != value.begin()) text_ += ',';
      break_line(depth + 1);
      if (value.is_object()) text_ += quoted(member.key()) + ": ";
      write(*member, depth + 1);
    }
    if (!value.empty()) break_line(depth);
    text_ += brackets[1];
  }

  void break_line(size_t depth) {
    text_ += '\n';
    text_.append(4 * depth, ' ');
  }

  NonfiniteForm form_;
  std::string text_;
};

}  // namespace

std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  auto text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string python_json(const Json& value, NonfiniteForm form) {
  Writer writer(form);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace pippin
