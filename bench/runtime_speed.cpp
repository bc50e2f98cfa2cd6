// runtime_speed FOLDER PROMPT TOKENS [--mlx]: tokens a second of reading a prompt of PROMPT tokens and of TOKENS greedy
// steps after it, and the seconds that loading took, as one JSON line. Token ids are arbitrary: the work is the same.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <mlx/memory.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"
#include "runtime/language_model.h"

namespace mx = mlx::core;

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int next_of(const mx::array& logits) {
  mx::array last = mx::argmax(mx::reshape(logits, {-1}), 0);
  mx::eval(last);
  return static_cast<int>(last.item<uint32_t>());
}

void run(const char* folder, int prompt, int tokens, const pippin::LoadOptions& options) {
  auto begin = Clock::now();
  const pippin::LanguageModel model = pippin::value_or_throw(pippin::LanguageModel::load(folder, options));
  const double load = since(begin);
  pippin::KvCache cache = model.make_cache();
  std::vector<int> ids;
  ids.reserve(static_cast<size_t>(prompt));
  for (int k = 0; k < prompt; ++k) ids.push_back((7 * k * k + 3 * k + 1) % model.vocabulary_size());
  begin = Clock::now();
  int id = next_of(pippin::value_or_throw(model.forward(mx::array(ids.begin(), {1, prompt}, mx::int32), cache, true)));
  const double reading = since(begin);
  begin = Clock::now();
  for (int k = 0; k < tokens; ++k)
    id = next_of(pippin::value_or_throw(model.forward(mx::array(&id, {1, 1}, mx::int32), cache, true)));
  const double writing = since(begin);
  std::printf(
      "{\"load_seconds\": %.4f, \"prompt_tokens_per_second\": %.2f, \"tokens_per_second\": %.2f, \"peak_bytes\": "
      "%zu}\n",
      load, prompt / reading, tokens / writing, mx::get_peak_memory());
}

}  // namespace

int main(int argc, char** argv) {
  mx::set_default_device(mx::Device::cpu);
  if (argc < 4) return 2;
  pippin::LoadOptions options;
  options.own_kernels = argc < 5 || std::string(argv[4]) != "--mlx";
  const auto done =
      pippin::guarded("measuring", [&] { run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), options); });
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().message().c_str());
  return 1;
}
