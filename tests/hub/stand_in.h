// stand_in_hub.py as a child process, for one test. What goes wrong is thrown as std::runtime_error.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "ghost/temporary_folder.h"
#include "hub/hub_session.h"

namespace pippin {

// A file's content; empty where there is none.
std::string content_of(const std::filesystem::path& path);

// Bytes that no two offsets share for long.
std::string noise(size_t size, uint64_t seed);

class StandIn {
 public:
  // arguments: of stand_in_hub.py; --root and --ready-file are given. Begins without repositories.
  explicit StandIn(std::vector<std::string> arguments = {});
  ~StandIn();
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;

  // A file of "org/name", or of another branch as "org/name@branch".
  void add(const std::string& repo, std::string_view file, std::string_view content) const;
  // Sets the faults, as JSON: [{"kind": "drop", "every": 2}].
  void set_faults(const std::string& json) const;
  // Whether each of them has had its effect.
  [[nodiscard]] bool all_faults_fired() const;
  // Requests so far: [{"method", "route", "sent", ...}].
  [[nodiscard]] nlohmann::json log() const;
  [[nodiscard]] size_t requests() const { return log().size(); }
  // Bytes of file contents sent so far.
  [[nodiscard]] uint64_t bytes_sent() const;
  // Requests with a token that reached the storage host.
  [[nodiscard]] int leaked_tokens() const;

  // Settings for it, with a cache of the test's own.
  [[nodiscard]] HubSettings settings(const std::string& token = {}) const;
  [[nodiscard]] std::filesystem::path cache() const { return folder_.path() / "cache"; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  [[nodiscard]] std::string control(const std::string& method, const std::string& what,
                                    const std::string& body = {}) const;

  TemporaryFolder folder_;
  pid_t child_ = -1;
  std::string endpoint_;
};

}  // namespace pippin
