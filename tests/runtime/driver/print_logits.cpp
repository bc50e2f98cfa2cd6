// print_logits FOLDER IDS PROMPT [--arch FILE_OR_FOLDER] [--mlx]: the logits of each of the ids (a,b,c) as JSON lines:
// the first PROMPT ids in one pass (or in passes of a,b,c ids), the others one by one. For comparisons with the
// reference packages.
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "runtime/fault.h"
#include "runtime/language_model.h"

namespace mx = mlx::core;

namespace {

void print_rows(mx::array logits) {
  logits = mx::contiguous(mx::astype(logits, mx::float32));
  mx::eval(logits);
  const int columns = logits.shape(2);
  for (int row = 0; row < logits.shape(1); ++row) {
    std::string line = "[";
    for (int k = 0; k < columns; ++k) {
      char number[32];
      std::snprintf(number, sizeof number, "%s%.9g", k == 0 ? "" : ",", logits.data<float>()[row * columns + k]);
      line += number;
    }
    std::puts((line + "]").c_str());
  }
}

std::vector<int> numbers(const char* text) {
  std::vector<int> all;
  std::stringstream words(text);
  for (std::string word; std::getline(words, word, ',');) all.push_back(std::atoi(word.c_str()));
  return all;
}

void run(const pippin::LanguageModel& model, const std::vector<int>& ids, const std::vector<int>& passes) {
  pippin::KvCache cache = model.make_cache();
  size_t pass = 0;
  for (int at = 0; at < static_cast<int>(ids.size());) {
    const int count = pass < passes.size() ? passes[pass++] : 1;
    print_rows(pippin::value_or_throw(model.forward(mx::array(ids.begin() + at, {1, count}, mx::int32), cache)));
    at += count;
  }
}

}  // namespace

int main(int argc, char** argv) {
  mx::set_default_device(mx::Device::cpu);
  pippin::LoadOptions options;
  if (argc < 4) return 2;
  for (int k = 4; k < argc; ++k) {
    const std::string word = argv[k];
    if (word == "--mlx") options.own_kernels = false;
    if (word == "--arch" && k + 1 < argc) options.arch.emplace_back(argv[++k]);
  }
  const std::vector<int> ids = numbers(argv[2]);
  const std::vector<int> passes = numbers(argv[3]);
  auto model = pippin::LanguageModel::load(argv[1], options);
  const auto done = model ? pippin::guarded("running", [&] { run(*model, ids, passes); })
                          : pippin::Result<void>(tl::unexpected<pippin::Error>(model.error()));
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().message().c_str());
  return 1;
}
