// What lies in the cache: sizes, removal, and the proof that every blob is what its name says. Models only.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pippin/hub.h"

namespace pippin {

// Reads names and sizes only. A cache that does not exist is empty.
Result<CacheReport> scan_cache(const std::filesystem::path& cache);

// As remove_from_cache() and remove_partial_downloads().
Result<CacheRemoval> remove_repos(const std::filesystem::path& cache, const std::vector<std::string>& repos);
Result<CacheRemoval> remove_partials(const std::filesystem::path& cache);

// As verify_cache().
Result<CacheCheck> check_cache(const std::filesystem::path& cache, const std::vector<std::string>& repos,
                               const DownloadHooks& hooks);

}  // namespace pippin
