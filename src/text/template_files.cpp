#include "text/template_files.h"

#include <algorithm>
#include <system_error>

#include "source/json_text.h"
#include "source/quoted_text.h"
#include "text/text_file.h"

namespace pippin {
namespace {

using Json = nlohmann::ordered_json;
using Files = std::vector<TemplateFile>;

constexpr std::uintmax_t largest_template = std::uintmax_t{16} << 20;

Status add_file(Files& files, std::string name, const std::filesystem::path& path) {
  PIPPIN_TRY(std::string source, read_text_file(path, largest_template));
  files.push_back({std::move(name), std::move(source), printable(path.string())});
  return {};
}

Status add_jinja_files(Files& files, const std::filesystem::path& folder) {
  std::error_code ignored;
  if (const auto path = folder / "chat_template.jinja"; std::filesystem::exists(path, ignored))
    PIPPIN_CHECK(add_file(files, "default", path));
  std::vector<std::filesystem::path> more;
  for (std::filesystem::directory_iterator entry(folder / "additional_chat_templates", ignored), end; entry != end;
       entry.increment(ignored))
    if (entry->path().extension() == ".jinja") more.push_back(entry->path());
  std::sort(more.begin(), more.end());
  for (const auto& path : more) PIPPIN_CHECK(add_file(files, path.stem().string(), path));
  return {};
}

Status add_from_json(Files& files, const Json& value, const std::string& place) {
  const auto wrong = [&] {
    return fail(ErrorTag::bad_file, "chat_template is a text, or a list of names and texts", place,
                "download the file again");
  };
  if (value.is_null()) return {};
  if (value.is_string()) {
    files.push_back({"default", value.get<std::string>(), place});
    return {};
  }
  if (!value.is_array()) return wrong();
  for (const Json& entry : value) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() || !entry.contains("template") ||
        !entry["template"].is_string())
      return wrong();
    files.push_back({entry["name"].get<std::string>(), entry["template"].get<std::string>(), place});
  }
  return {};
}

}  // namespace

Result<Files> find_templates(const std::filesystem::path& folder, const Json& tokenizer_config) {
  Files files;
  PIPPIN_CHECK(add_jinja_files(files, folder));
  if (files.empty() && tokenizer_config.contains("chat_template"))
    PIPPIN_CHECK(add_from_json(files, tokenizer_config["chat_template"], "tokenizer_config.json"));
  std::error_code ignored;
  if (const auto path = folder / "chat_template.json"; files.empty() && std::filesystem::exists(path, ignored)) {
    PIPPIN_TRY(const Json json, read_json(path));
    if (json.is_object() && json.contains("chat_template"))
      PIPPIN_CHECK(add_from_json(files, json["chat_template"], "chat_template.json"));
  }
  return files;
}

}  // namespace pippin
