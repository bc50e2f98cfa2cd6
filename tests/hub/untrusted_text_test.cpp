// Names, addresses, headers and lists from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/answer_headers.h"
#include "hub/file_choice.h"
#include "hub/listing.h"
#include "hub/repo_name.h"
#include "hub/retry.h"
#include "hub/upload_api.h"
#include "hub/url.h"

namespace pippin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string sha1(40, 'a');
const std::string sha256(64, 'b');

TEST(RepoName, WhatTheHubAllows) {
  for (const char* good : {"gpt2", "Qwen/Qwen3-4B", "a/b.c_d-e", "_a/b_"}) EXPECT_TRUE(check_repo_name(good)) << good;
  for (const char* bad :
       {"", "a/b/c", "../b", "a/..", "-a/b", "a/b-", "a--b/c", "a/b..c", "a/b.git", "a b/c", "a\\b", "/a", "a/"})
    EXPECT_FALSE(check_repo_name(bad)) << bad;
  EXPECT_FALSE(looks_like_repo("gpt2")) << "may be a folder's name";
  EXPECT_EQ(cache_folder_name("Qwen/Qwen3-4B"), "models--Qwen--Qwen3-4B");
  EXPECT_EQ(repo_of_cache_folder("models--Qwen--Qwen3-4B"), "Qwen/Qwen3-4B");
  EXPECT_EQ(repo_of_cache_folder("datasets--a--b"), "");
}

TEST(FileName, StaysInsideItsFolder) {
  for (const char* good : {"a", "a/b", "a..b", ".gitattributes", "ä/ö.json", "a b"})
    EXPECT_TRUE(check_file_name(good)) << good;
  for (const char* bad : {"", "/etc/passwd", "../a", "a/../b", "a/..", ".", "./a", "a//b", "a/", "a\\..\\b", "C:/a",
                          "C:a", "a\nb", ".git/hooks/pre-commit", "a/.git/config"})
    EXPECT_FALSE(check_file_name(bad)) << bad;
  EXPECT_FALSE(check_file_name(std::string("a\0b", 3)));
  EXPECT_FALSE(check_file_name(std::string(256, 'a')));
  EXPECT_FALSE(check_revision("../../x"));
  EXPECT_TRUE(check_revision("refs/pr/1"));
}

TEST(Address, Origins) {
  EXPECT_EQ(origin_of("https://huggingface.co/a"), "https://huggingface.co:443");
  EXPECT_EQ(origin_of("HTTP://LocalHost:80/a?b"), "http://localhost:80");
  EXPECT_EQ(origin_of("file:///etc/passwd"), std::nullopt);
  EXPECT_EQ(origin_of("https://huggingface.co@evil.example/"), std::nullopt);
  EXPECT_NE(origin_of("https://huggingface.co.evil.example/"), origin_of("https://huggingface.co/"));
  EXPECT_EQ(encoded_segment("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(encoded_path("a b/ü?.json"), "a%20b/%C3%BC%3F.json");
}

TEST(Address, RedirectsThatMayBeFollowed) {
  EXPECT_EQ(*redirect_target("https://a.example/x/y", "/z?q=1"), "https://a.example/z?q=1");
  EXPECT_EQ(*redirect_target("https://a.example/x", "https://b.example/z"), "https://b.example/z");
  EXPECT_EQ(*redirect_target("http://a.example/x", "https://b.example/z"), "https://b.example/z");
}

TEST(Address, RedirectsThatAreRefused) {
  for (const char* bad : {"http://a.example/x", "HTTP://b.example", "file:///etc/passwd", "FILE:///etc/passwd",
                          "ftp://b.example/", "gopher://b.example", "https://user:word@b.example/", "", "https://"}) {
    const auto target = redirect_target("https://a.example/x", bad);
    EXPECT_FALSE(target) << bad << " leads to " << target.value_or("");
  }
  EXPECT_THAT(redirect_target("https://a.example/x?signature", "file:///y").error().message(),
              Not(HasSubstr("signature")));
}

TEST(Headers, ContentRange) {
  EXPECT_EQ(content_range("bytes 0-99/1000"), (ContentRange{0, 100, 1000}));
  for (const char* bad : {"", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "bytes 0-9/*", "0-9/10", "bytes -9/10",
                          "bytes 0-9", "bytes 0-99999999999999999999/10", "bytes 0-9/10x", "bytes 0/10-9"})
    EXPECT_EQ(content_range(bad), std::nullopt) << bad;
}

TEST(Headers, NextPage) {
  EXPECT_EQ(next_link(R"(<https://h/a?cursor=1>; rel="next")"), "https://h/a?cursor=1");
  EXPECT_EQ(next_link(R"(<https://h/p>; rel="prev", <https://h/n>; rel="next")"), "https://h/n");
  for (const char* none : {"", "<a>", R"(<a; rel="next")", R"(<a>; rel="prev")"})
    EXPECT_EQ(next_link(none), std::nullopt) << none;
}

AnswerHeaders headers(std::initializer_list<const char*> lines) {
  AnswerHeaders headers;
  for (const char* line : lines) headers.add(line);
  return headers;
}

TEST(Headers, HowLongToWait) {
  EXPECT_EQ(seconds_to_wait(headers({"Retry-After: 7\r\n"})), 7U);
  EXPECT_EQ(seconds_to_wait(headers({"RateLimit: \"api\";r=0;t=55", "Retry-After: 7"})), 55U);
  EXPECT_EQ(seconds_to_wait(headers({"RateLimit: \"api\";r=3;t=55"})), std::nullopt);
  EXPECT_EQ(seconds_to_wait(headers({"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"})), std::nullopt);
}

TEST(Retry, Delays) {
  std::vector<double> delays;
  for (int failures = 1; const auto delay = delay_after(failures); ++failures) delays.push_back(*delay);
  EXPECT_THAT(delays, ElementsAre(1, 2, 4, 8, 8));
  EXPECT_EQ(delay_after(1, {429, headers({"Retry-After: 30"}), {}}), 31);
  EXPECT_EQ(delay_after(1, {429, headers({"Retry-After: 86400"}), {}}), std::nullopt) << "nobody waits for a day";
  EXPECT_EQ(delay_after(2, {503, {}, {}}), 2);
}

TEST(Listing, ATreePage) {
  const auto files = parse_tree_page(R"([{"type":"directory","path":"d","oid":"x"},
      {"type":"file","path":"d/a.json","size":3,"oid":")" +
                                     sha1 + R"("},
      {"type":"file","path":"w.safetensors","size":10,"oid":")" +
                                     sha1 + R"(","lfs":{"oid":")" + sha256 + R"(","size":10,"pointerSize":133}}])");
  ASSERT_TRUE(files);
  EXPECT_THAT(*files, ElementsAre(RepoFile{"d/a.json", 3, sha1, ""}, RepoFile{"w.safetensors", 10, sha1, sha256}));
  EXPECT_EQ(*parse_tree_file(tree_file_text(*files)), *files);
}

TEST(Listing, WhatIsRefused) {
  const auto page = [](const std::string& path, const std::string& rest) {
    return parse_tree_page(R"([{"type":"file","path":")" + path + "\"," + rest + "}]");
  };
  const std::string good = R"("size":3,"oid":")" + sha1 + "\"";
  EXPECT_TRUE(page("a", good));
  EXPECT_FALSE(page("../a", good));
  EXPECT_FALSE(page("/a", good));
  EXPECT_FALSE(page("a", R"("size":-3,"oid":")" + sha1 + "\""));
  EXPECT_FALSE(page("a", R"("size":3.5,"oid":")" + sha1 + "\""));
  EXPECT_FALSE(page("a", R"("size":3,"oid":"../../x")"));
  EXPECT_FALSE(page("a", R"("size":9999999999999999999,"oid":")" + sha1 + "\""));
  EXPECT_FALSE(page("a", good + R"(,"lfs":{"oid":"../x","size":3})"));
  EXPECT_FALSE(page("a", good + R"(,"lfs":{"size":3})"));
  EXPECT_FALSE(parse_tree_page("{}"));
  EXPECT_FALSE(parse_tree_page("[1]"));
  EXPECT_FALSE(parse_tree_page("<html>"));
  EXPECT_FALSE(parse_commit(R"({"sha":"main"})"));
  EXPECT_FALSE(parse_tree_file(R"({"format_version":2,"files":{}})"));
  EXPECT_EQ(parse_tree_page("<html>").error().tag, ErrorTag::network);
}

TEST(Listing, AUser) {
  const auto user = parse_user(R"({"name":"me","orgs":[{"name":"us"}],"auth":{"accessToken":{"role":"read"}}})");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->name, "me");
  EXPECT_THAT(user->organisations, ElementsAre("us"));
  EXPECT_EQ(user->role, "read");
  EXPECT_EQ(parse_user(R"({"name":"me"})")->role, "");
  EXPECT_FALSE(parse_user("[]"));
}

TEST(UploadPlan, LinksAndParts) {
  const LargeObject object{std::string(64, 'a'), 250};
  const std::string endpoint = "https://huggingface.co";
  EXPECT_TRUE(parse_upload_plan("{}", object, endpoint)->is_there);
  const auto whole = parse_upload_plan(R"({"actions":{"upload":{"href":"https://s3/x"}}})", object, endpoint);
  EXPECT_THAT(whole->parts, ElementsAre("https://s3/x"));
  const auto parts = parse_upload_plan(
      R"({"actions":{"upload":{"href":"https://huggingface.co/done","header":{"chunk_size":"100","00001":"https://s3/1",
          "00002":"https://s3/2","00003":"https://s3/3"}},"verify":{"href":"https://huggingface.co/verify"}}})",
      object, endpoint);
  ASSERT_TRUE(parts) << parts.error().message();
  EXPECT_THAT(parts->parts, ElementsAre("https://s3/1", "https://s3/2", "https://s3/3"));
  EXPECT_EQ(parts->part_size, 100U);
  EXPECT_EQ(parts->complete, "https://huggingface.co/done");
}

TEST(UploadPlan, WhatIsRefused) {
  const char* const answers[] = {
      "no JSON",
      "[]x",
      R"({"error":{"code":422,"message":"too large"}})",
      R"({"actions":{"upload":{"href":"file:///etc/passwd"}}})",
      R"({"actions":{"upload":{"href":"http://s3/x"}}})",  // from https to http
      R"({"actions":{"upload":{"href":"ftp://s3/x"}}})",
      R"({"actions":{"upload":{"href":"https://user:word@s3/x"}}})",
      R"({"actions":{"upload":{"href":"https://s3/x\r\nX: y"}}})",
      R"({"actions":{"upload":{"href":7}}})",
      R"({"actions":{"upload":{}}})",
      R"({"actions":{"upload":{"href":"https://s3/x"},"verify":{"href":"file:///x"}}})",
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"0"}}}})",
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"-1"}}}})",
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":100}}}})",
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"99999999999999999999"}}}})",
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"100"}}}})",  // no parts
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"250","00001":"file:///x"}}}})",
      R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"125","00001":"https://s3/1","00002":[]}}}})",
  };
  for (const char* answer : answers)
    EXPECT_FALSE(parse_upload_plan(answer, {std::string(64, 'a'), 250}, "https://huggingface.co")) << answer;
  const char* const small = R"({"actions":{"upload":{"href":"https://s3/x","header":{"chunk_size":"1"}}}})";
  EXPECT_FALSE(parse_upload_plan(small, {std::string(64, 'a'), uint64_t{1} << 63}, "https://huggingface.co"));
  EXPECT_FALSE(parse_upload_plan(small, {std::string(64, 'a'), 0}, "https://huggingface.co")) << "nothing to cut";
}

TEST(FileChoice, PatternsAreThoseOfPython) {
  EXPECT_TRUE(matches("*.json", "a/b.json"));
  EXPECT_TRUE(matches("*.json", ".hidden.json"));
  EXPECT_TRUE(matches("model*.safetensors", "model-1.safetensors"));
  EXPECT_FALSE(matches("model*.safetensors", "a/model-1.safetensors"));
  EXPECT_FALSE(matches("*.JSON", "a.json"));
  EXPECT_TRUE(matches("sub/", "sub/a/b"));
  EXPECT_TRUE(matches("[!a]*", "b"));
}

TEST(FileChoice, ChoosesAndSaysWhatIsMissing) {
  const std::vector<RepoFile> files{{"a.json", 1, sha1, ""}, {"b.bin", 1, sha1, ""}, {"c.json", 1, sha1, ""}};
  const auto names = [&](const FileChoice& choice) {
    std::vector<std::string> chosen;
    const auto result = choose_files(files, choice, "o/r");
    for (const auto& file : *result) chosen.push_back(file.name);
    return chosen;
  };
  EXPECT_THAT(names({}), ElementsAre("a.json", "b.bin", "c.json"));
  EXPECT_THAT(names({{}, {"*.json"}, {"c*"}}), ElementsAre("a.json"));
  EXPECT_THAT(names({{"b.bin"}, {}, {}}), ElementsAre("b.bin"));
  const auto missing = choose_files(files, {{"d.json"}, {}, {}}, "o/r");
  EXPECT_EQ(missing.error().tag, ErrorTag::not_found);
  EXPECT_THAT(missing.error().details,
              ElementsAre("missing \"d.json\"", "there: a.json", "there: b.bin", "there: c.json"));
  EXPECT_FALSE(choose_files(files, {{}, {"*.txt"}, {}}, "o/r"));
}

}  // namespace
}  // namespace pippin
