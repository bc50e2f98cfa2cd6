// No config.json makes planning crash, hang or give an error that says nothing.
#include <algorithm>
#include <chrono>
#include <fstream>

#include <gtest/gtest.h>

#include "ghost/ghost.h"
#include "ghost/temporary_folder.h"
#include "pippin/convert.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const Json hostile_values[] = {
    nullptr,         true, 0, -1, 3, INT64_C(4611686018427387904), 1e300, "", "../../../etc", Json::array(), {1, -1},
    {{"a", nullptr}}};

// Every eightieth case, so that all kinds of specs have a turn.
std::vector<fs::path> some_cases() {
  std::vector<fs::path> all;
  for (const char* target : {"lm", "vlm"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(PIPPIN_SOURCE_DIR) / "tests/conformance" / target)) {
      all.push_back(entry.path());
    }
  }
  std::sort(all.begin(), all.end());
  std::vector<fs::path> some;
  for (size_t i = 0; i < all.size(); i += 80) some.push_back(all[i]);
  return some;
}

// The places of all values: at the top and inside objects, two levels deep.
std::vector<Json::json_pointer> places_in(const Json& config) {
  std::vector<Json::json_pointer> places;
  for (const auto& [key, value] : config.items()) {
    const auto place = Json::json_pointer() / key;
    places.push_back(place);
    if (!value.is_object()) continue;
    for (const auto& inner : value.items()) places.push_back(place / inner.key());
  }
  return places;
}

void expect_a_clear_outcome(const fs::path& folder, const Json& config, const std::string& what) {
  std::ofstream(folder / "config.json") << config.dump();
  ConvertOptions options;
  options.source = folder;
  options.quantize = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto plan = plan_conversion(options);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << what;
  if (!plan) {
    EXPECT_NE(plan.error().message(), "") << what;
    EXPECT_NE(plan.error().way_out, "") << what << "\n" << plan.error().message();
  }
}

class HostileConfig : public testing::TestWithParam<fs::path> {};

TEST_P(HostileConfig, AnyFieldMayBeAnything) {
  const TemporaryFolder folder;
  const Json recorded = read_case(GetParam());
  write_ghost(recorded, folder.path());
  const Json config = Json::parse(std::ifstream(folder.path() / "config.json"));
  for (const auto& place : places_in(config)) {
    for (const Json& value : hostile_values) {
      Json changed = config;
      changed[place] = value;
      expect_a_clear_outcome(folder.path(), changed, place.to_string() + " = " + value.dump());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, HostileConfig, testing::ValuesIn(some_cases()), [](const auto& test) {
  std::string name = test.param.parent_path().filename().string() + "_" + test.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace pippin
