#include "package/replaceable.h"

#include <fmt/format.h>

#include <algorithm>

#include "package/config_files.h"
#include "package/side_files.h"
#include "plan/journal_file.h"
#include "source/safetensors.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr size_t most_listed = 20;

bool is_mlx_weights(const fs::path& file) {
  const auto source = open_file(file.string());
  if (!source) return false;
  const auto header = read_safetensors_header(**source);
  if (!header || !header->metadata.is_object()) return false;
  const auto format = header->metadata.find("format");
  return format != header->metadata.end() && *format == "mlx";
}

// What is in the folder, sorted into what marks a model, what is harmless and what is foreign.
class Inventory {
 public:
  Inventory(const fs::path& root, std::span<const fs::path> also_allowed) : root_(root), also_allowed_(also_allowed) {}

  std::error_code add(const fs::path& folder) {
    std::error_code error;
    for (auto entry = fs::directory_iterator(root_ / folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      const auto relative = folder / entry->path().filename();
      const auto status = entry->symlink_status(error);
      if (error) break;
      if (!fs::is_directory(status)) {
        add_file(relative, fs::is_regular_file(status));
      } else if (brings_files_in(relative)) {
        if (const auto inner = add(relative)) return inner;
      } else {
        foreign_.push_back(relative.string() + "/");
      }
    }
    return error;
  }

  [[nodiscard]] bool is_model() const { return is_model_; }
  [[nodiscard]] std::vector<std::string> foreign() const { return foreign_; }

 private:
  void add_file(const fs::path& relative, bool is_regular) {
    const auto name = relative.string();
    const bool is_weights = relative.extension() == ".safetensors";
    const bool is_top = !relative.has_parent_path();
    const bool is_ours = is_top && (name == config_file || (is_weights && is_mlx_weights(root_ / relative)));
    const bool is_harmless = is_top && (name == index_file || name == card_file || name == ".DS_Store" ||
                                        name == journal_file || (is_known_side_file(name) && !is_weights));
    const bool is_brought = std::find(also_allowed_.begin(), also_allowed_.end(), relative) != also_allowed_.end();
    is_model_ |= is_regular && is_ours;
    if (!is_regular || (!is_ours && !is_harmless && !is_brought)) foreign_.push_back(name);
  }

  [[nodiscard]] bool brings_files_in(const fs::path& folder) const {
    return std::any_of(also_allowed_.begin(), also_allowed_.end(), [&](const fs::path& file) {
      return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first == folder.end();
    });
  }

  fs::path root_;
  std::span<const fs::path> also_allowed_;
  std::vector<std::string> foreign_;
  bool is_model_ = false;
};

}  // namespace

Status check_replaceable(const fs::path& folder, std::span<const fs::path> also_allowed) {
  Inventory inventory(folder, also_allowed);
  if (const auto error = inventory.add({}))
    return fail(ErrorTag::destination, "the old output can be listed",
                fmt::format("{}: {}", folder.string(), error.message()));
  auto foreign = inventory.foreign();
  if (inventory.is_model() && foreign.empty()) return {};

  constexpr const char* rule = "only an earlier MLX model is replaced, and nothing that does not belong to one";
  if (foreign.empty())
    return fail(ErrorTag::destination, rule, fmt::format("{} holds no model in MLX format", folder.string()),
                "choose another folder, or remove this one yourself");
  std::sort(foreign.begin(), foreign.end());
  const auto count = foreign.size();
  if (count > most_listed) {
    foreign.resize(most_listed);
    foreign.push_back(fmt::format("and {} more", count - most_listed));
  }
  return fail(ErrorTag::destination, rule,
              fmt::format("{} holds {} other {}", folder.string(), count, count == 1 ? "entry" : "entries"),
              "choose another folder, or move these entries away", std::move(foreign));
}

}  // namespace pippin
