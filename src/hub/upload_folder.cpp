#include "hub/upload_folder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <system_error>

#include <nlohmann/json.hpp>

#include "hub/repo_name.h"
#include "source/quoted_text.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr size_t most_details = 20;
constexpr uint64_t largest_searched = uint64_t{10} << 20;  // tokens stand in small files
constexpr size_t shortest_token = 30;                      // what follows "hf_"
constexpr std::array<std::string_view, 7> unfinished{".incomplete", ".partial",    ".part",        ".tmp",
                                                     ".download",   ".crdownload", ".safetensors~"};

bool is_unfinished(const std::string& name) {
  return std::ranges::any_of(unfinished, [&](std::string_view end) { return name.ends_with(end); });
}

bool is_utf8(const std::string& text) {
  const nlohmann::json json = text;
  const std::string kept = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
  return nlohmann::json::parse(kept) == json;
}

bool is_letter_or_digit(char c) {
  return static_cast<unsigned char>(c) < 0x80 && std::isalnum(static_cast<unsigned char>(c)) != 0;
}

bool holds_token(std::string_view text, const std::string& token) {
  if (!token.empty() && text.find(token) != std::string_view::npos) return true;
  for (size_t at = text.find("hf_"); at != std::string_view::npos; at = text.find("hf_", at + 1)) {
    const auto rest = text.substr(at + 3);
    const auto end = std::ranges::find_if_not(rest, is_letter_or_digit);
    const bool is_word = at == 0 || !is_letter_or_digit(text[at - 1]);
    if (is_word && static_cast<size_t>(end - rest.begin()) >= shortest_token) return true;
  }
  return false;
}

Result<bool> has_token_inside(const LocalFile& file, const std::string& token) {
  if (file.size > largest_searched) return false;
  PIPPIN_TRY(const DiskFile opened, open_to_upload(file));
  std::string text(static_cast<size_t>(file.size), '\0');
  PIPPIN_CHECK(opened.read(0, std::as_writable_bytes(std::span(text))));
  return holds_token(text, token);
}

class FolderWalk {
 public:
  FolderWalk(fs::path folder, const std::string& token) : folder_(std::move(folder)), token_(token) {}

  Result<FolderFiles> run() {
    std::error_code error;
    const auto status = fs::status(folder_, error);
    if (!fs::exists(status)) {
      return fail(ErrorTag::not_found, "the folder to upload is there", folder_.string());
    }
    if (!fs::is_directory(status)) {
      return fail(ErrorTag::usage, "what is uploaded is a folder", folder_.string() + " is none");
    }
    root_ = fs::canonical(folder_, error);
    PIPPIN_CHECK(walk());
    PIPPIN_CHECK(search());
    if (!refused_.empty()) return refusal();
    if (found_.files.empty())
      return fail(ErrorTag::not_found, "the folder to upload has files", folder_.string() + " has none");
    std::ranges::sort(found_.files, {}, &LocalFile::name);
    std::ranges::sort(found_.left_out);
    return std::move(found_);
  }

 private:
  Status walk() {
    std::error_code error;
    for (auto entry = fs::recursive_directory_iterator(root_, error); !error && entry != fs::end(entry);
         entry.increment(error)) {
      const bool is_folder = !entry->is_symlink(error) && entry->is_directory(error);
      const std::string name = entry->path().lexically_relative(root_).generic_string();
      const std::string last = entry->path().filename().string();
      if (last.starts_with('.') || (!is_folder && is_unfinished(last))) {
        leave_out(name);
        if (is_folder) entry.disable_recursion_pending();
      } else if (!is_folder) {
        take(name, entry->path());
      }
      error.clear();
    }
    if (!error) return {};
    return fail(ErrorTag::io, "the folder to upload can be read",
                fmt::format("{}: {}", folder_.string(), error.message()));
  }

  void take(const std::string& name, const fs::path& path) {
    if (holds_token(name, token_)) return refuse("a file whose name holds an access token");
    if (!check_file_name(name) || !is_utf8(name)) return refuse(in_quotes(name) + " cannot be a file's name there");
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    const auto status = error ? fs::file_status(fs::file_type::not_found) : fs::status(real, error);
    if (fs::is_symlink(fs::symlink_status(path, error)) && !(fs::is_regular_file(status) && is_inside(real)))
      return refuse(printable(name) + " is a link to a folder, or out of this folder, or to nothing");
    if (!fs::is_regular_file(status)) return leave_out(name);
    found_.files.push_back({name, real, fs::file_size(real, error)});
  }

  // Whether a link leads to a file that goes along itself.
  [[nodiscard]] bool is_inside(const fs::path& real) const {
    const fs::path inner = real.lexically_relative(root_);
    return !inner.empty() && std::ranges::none_of(inner, [](const fs::path& part) {
      return part.string().starts_with('.') || is_unfinished(part.string());
    });
  }

  Status search() {
    for (const auto& file : found_.files) {
      PIPPIN_TRY(const bool has_token, has_token_inside(file, token_));
      if (has_token) refuse(printable(file.name) + " holds an access token");
    }
    return {};
  }

  void refuse(std::string what) { refused_.push_back(std::move(what)); }
  // A hidden file's name may be a secret too.
  void leave_out(const std::string& name) {
    found_.left_out.push_back(holds_token(name, token_) ? "a name with an access token" : printable(name));
  }

  Result<FolderFiles> refusal() {
    std::ranges::sort(refused_);
    const size_t count = refused_.size();
    if (count > most_details) {
      refused_.resize(most_details);
      refused_.push_back(fmt::format("and {} more", count - most_details));
    }
    return fail(ErrorTag::usage, "a folder is uploaded as it is, and with no secrets",
                fmt::format("{} cannot go along from {}", count == 1 ? "a file" : fmt::format("{} files", count),
                            folder_.string()),
                "move them out of the folder, or put copies in the place of links; nothing was sent",
                std::move(refused_));
  }

  fs::path folder_;
  fs::path root_;
  const std::string& token_;
  FolderFiles found_;
  std::vector<std::string> refused_;
};

}  // namespace

Result<DiskFile> open_to_upload(const LocalFile& file) {
  auto opened = DiskFile::open(file.path, O_RDONLY);
  if (opened) return opened;
  return fail(ErrorTag::io, "the files to upload can be read", opened.error().value);
}

Result<FolderFiles> files_to_upload(const fs::path& folder, const std::string& token) {
  return FolderWalk(folder, token).run();
}

}  // namespace pippin
