#include "package/package.h"

#include <algorithm>
#include <fstream>

#include "package/config_files.h"
#include "package/disk.h"

namespace pippin {
namespace fs = std::filesystem;
namespace {

constexpr size_t most_text = size_t{64} << 20;

// The begin of a text file; empty where it cannot be read.
std::string text_of(const fs::path& file) {
  std::error_code error;
  const auto size = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
  if (error) return {};
  std::string text(std::min<size_t>(size, most_text), '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

}  // namespace

Result<PackageReport> write_package(const Plan& plan, const Checkpoint& source, const SideFiles& side_files,
                                    const fs::path& folder, CardOptions options) {
  PIPPIN_CHECK(copy_side_files(source.folder(), side_files, folder));
  const auto form = nonfinite_form(plan.target, text_of(source.folder() / config_file));
  PIPPIN_CHECK(write_file(folder / config_file, config_text(plan, form)));
  PIPPIN_CHECK(write_file(folder / index_file, index_text(plan)));

  if (options.source_repo.empty()) options.source_repo = repo_of_cache_path(source.folder());
  const auto card = model_card(plan, side_files, text_of(source.folder() / card_file), options);
  PIPPIN_CHECK(write_file(folder / card_file, card.text));

  PackageReport report{{config_file, index_file, card_file}, side_files.warnings};
  for (const auto& file : side_files.files) report.files.push_back(file.string());
  std::sort(report.files.begin(), report.files.end());
  report.warnings.insert(report.warnings.end(), card.warnings.begin(), card.warnings.end());
  for (auto& warning : missing_side_files(side_files, source.config(), plan.target))
    report.warnings.push_back(std::move(warning));
  return report;
}

}  // namespace pippin
