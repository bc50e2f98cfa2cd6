// What the environment says about the Hub.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "ghost/temporary_folder.h"
#include "hub/settings.h"

namespace pippin {
namespace {

using testing::HasSubstr;
using testing::Not;

ReadVariable environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

std::string cache_of(std::map<std::string, std::string> values) {
  return settings_of(environment(std::move(values)))->cache.string();
}

TEST(Settings, TheCacheLiesWhereTheOfficialClientHasIt) {
  EXPECT_EQ(cache_of({{"HOME", "/h"}}), "/h/.cache/huggingface/hub");
  EXPECT_EQ(cache_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}), "/x/huggingface/hub");
  EXPECT_EQ(cache_of({{"HOME", "/h"}, {"HF_HOME", "~/hf"}}), "/h/hf/hub");
  EXPECT_EQ(cache_of({{"HF_HOME", "$DISK/hf"}, {"DISK", "/d"}}), "/d/hf/hub");
  EXPECT_EQ(cache_of({{"HF_HOME", "${DISK}/hf"}, {"DISK", "/d"}}), "/d/hf/hub");
  EXPECT_EQ(cache_of({{"HF_HOME", "/hf"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}), "/old");
  EXPECT_EQ(cache_of({{"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HUB_CACHE", "/new"}}), "/new");
}

TEST(Settings, TheTokenComesFromTheEnvironmentOrTheFile) {
  const TemporaryFolder folder;
  folder.write("token", "hf_file\r\n");
  const std::string home = folder.path().string();
  EXPECT_EQ(settings_of(environment({{"HF_HOME", home}}))->token, "hf_file");
  EXPECT_EQ(settings_of(environment({{"HF_HOME", home}}))->token_origin, home + "/token");
  EXPECT_EQ(settings_of(environment({{"HF_HOME", home}, {"HF_TOKEN", " hf_a\n"}}))->token, "hf_a");
  EXPECT_EQ(settings_of(environment({{"HF_HOME", home}, {"HF_TOKEN", "hf_a"}}))->token_origin, "HF_TOKEN");
  EXPECT_EQ(settings_of(environment({{"HF_HOME", home}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}))->token, "");
  EXPECT_EQ(settings_of(environment({{"HF_HOME", home + "/none"}}))->token_origin, "");
}

TEST(Settings, ATokenThatCannotStandInAHeaderIsNotShown) {
  const auto settings = settings_of(environment({{"HF_TOKEN", "hf_a\r\nHost: evil"}}));
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().tag, ErrorTag::usage);
  EXPECT_THAT(settings.error().message(), Not(HasSubstr("evil")));
}

TEST(Settings, TheEndpointIsAnHttpAddress) {
  EXPECT_EQ(settings_of(environment({}))->endpoint, "https://huggingface.co");
  EXPECT_EQ(settings_of(environment({{"HF_ENDPOINT", "https://mirror.example/"}}))->endpoint, "https://mirror.example");
  for (const char* bad : {"file:///etc", "mirror.example\nx", "ftp://mirror.example", "https://user@mirror.example"})
    EXPECT_FALSE(settings_of(environment({{"HF_ENDPOINT", bad}}))) << bad;
}

TEST(Settings, Switches) {
  EXPECT_TRUE(settings_of(environment({{"HF_HUB_OFFLINE", "yes"}}))->offline);
  EXPECT_TRUE(settings_of(environment({{"TRANSFORMERS_OFFLINE", "1"}}))->offline);
  EXPECT_FALSE(settings_of(environment({{"HF_HUB_OFFLINE", "0"}}))->offline);
  EXPECT_EQ(settings_of(environment({{"HF_HUB_DOWNLOAD_TIMEOUT", "30"}}))->silence_seconds, 30);
  EXPECT_EQ(settings_of(environment({{"HF_HUB_DOWNLOAD_TIMEOUT", "no"}}))->silence_seconds, 10);
}

}  // namespace
}  // namespace pippin
