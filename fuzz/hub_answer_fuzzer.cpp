// Any bytes as an answer of the Hub: as lists and descriptions, as headers, and as an address to go to. What is taken
// keeps the promises of the headers' comments.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "hub/answer_headers.h"
#include "hub/arrival_notes.h"
#include "hub/listing.h"
#include "hub/repo_name.h"
#include "hub/upload_api.h"
#include "hub/url.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void try_lists(std::string_view text) {
  for (const auto& files : {pippin::parse_tree_page(text), pippin::parse_tree_file(text)}) {
    if (!files) continue;
    for (const auto& file : *files) {
      check(file.name.find("..") == std::string::npos || pippin::check_file_name(file.name).has_value());
      check(!file.name.starts_with('/') && pippin::is_content_id(file.content_id()));
    }
  }
  if (const auto commit = pippin::parse_commit(text)) check(pippin::is_commit_id(*commit));
  static_cast<void>(pippin::parse_user(text));
  const pippin::LargeObject object{std::string(64, 'a'), 250};
  if (const auto plan = pippin::parse_upload_plan(text, object, "https://huggingface.co")) {
    for (const auto& link : plan->parts) check(pippin::origin_of(link)->starts_with("https://"));
    check(plan->is_there || plan->part_size * plan->parts.size() >= object.size);
  }
  const std::vector<pippin::RepoFile> files{{"a", 100, "ida", {}}};
  for (const auto& note : pippin::parse_arrival_notes(text, files))
    check(note.states.empty() || note.states.rbegin()->first <= 100);
}

void try_headers(std::string_view text) {
  pippin::AnswerHeaders headers;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    headers.add(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (const auto range = pippin::content_range(headers.get("content-range")))
    check(range->begin < range->end && range->end <= range->total);
  static_cast<void>(pippin::next_link(headers.get("link")));
  static_cast<void>(pippin::seconds_to_wait(headers));
  const std::string location(headers.get("location"));
  if (const auto target = pippin::redirect_target("https://huggingface.co/a/b", location))
    check(pippin::origin_of(*target)->starts_with("https://"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try_lists(text);
  try_headers(text);
  return 0;
}
