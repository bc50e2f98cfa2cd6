#include "verify/tied_heads.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr uint64_t block_size = uint64_t{1} << 20;

Result<bool> same_bytes(const Checkpoint& checkpoint, const TensorInfo& a, const TensorInfo& b,
                        const std::atomic<bool>* cancelled) {
  std::vector<std::byte> of_a(std::min(block_size, a.size)), of_b(of_a.size());
  for (uint64_t begin = 0; begin < a.size; begin += block_size) {
    if (cancelled != nullptr && *cancelled) {
      return fail(ErrorTag::interrupted, "", "stopped while comparing " + a.name, "run the same command again");
    }
    const auto count = static_cast<size_t>(std::min(block_size, a.size - begin));
    PIPPIN_CHECK(checkpoint.read(a, begin, std::span(of_a).first(count)));
    PIPPIN_CHECK(checkpoint.read(b, begin, std::span(of_b).first(count)));
    if (!std::equal(of_a.begin(), of_a.begin() + static_cast<std::ptrdiff_t>(count), of_b.begin())) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<std::string>> differing_ties(const Plan& plan, const Checkpoint& checkpoint,
                                                const std::atomic<bool>* cancelled) {
  std::vector<std::string> warnings;
  for (const auto& [head, embedding] : plan.assumed_ties) {
    const TensorInfo& left_out = checkpoint.tensors()[head];
    const TensorInfo& kept = checkpoint.tensors()[embedding];
    PIPPIN_TRY(const bool same, same_bytes(checkpoint, left_out, kept, cancelled));
    if (same) continue;
    warnings.push_back(warning_of_tie(left_out, kept));
  }
  return warnings;
}

std::string warning_of_tie(const TensorInfo& left_out, const TensorInfo& kept) {
  return fmt::format(
      "{} is left out, since by config.json the output head is tied to {}, but their values differ; if the head is a "
      "real one, set tie_word_embeddings to false in config.json and convert again",
      left_out.name, kept.name);
}

}  // namespace pippin
