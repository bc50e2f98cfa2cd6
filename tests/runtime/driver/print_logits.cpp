// print_logits FOLDER IDS PROMPT [--arch FILE_OR_FOLDER] [--mlx]: the logits of each of the ids (a,b,c) as JSON lines:
// the first PROMPT ids in one pass (or in passes of a,b,c ids), the others one by one. For comparisons with the
// reference packages.
#include <cstdio>
#include <string>
#include <vector>

#include <mlx/array.h>
#include <mlx/device.h>

#include "runtime/driver/logit_lines.h"
#include "runtime/fault.h"
#include "runtime/language_model.h"

namespace mx = mlx::core;

namespace {

void run(const pippin::LanguageModel& model, const std::vector<int32_t>& ids, const std::vector<int32_t>& passes) {
  pippin::KvCache cache = model.make_cache();
  size_t pass = 0;
  for (int at = 0; at < static_cast<int>(ids.size());) {
    const int count = pass < passes.size() ? passes[pass++] : 1;
    pippin::print_rows(
        pippin::value_or_throw(model.forward(mx::array(ids.begin() + at, {1, count}, mx::int32), cache)));
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
  const std::vector<int32_t> ids = pippin::numbers(argv[2]);
  const std::vector<int32_t> passes = pippin::numbers(argv[3]);
  auto model = pippin::LanguageModel::load(argv[1], options);
  const auto done = model ? pippin::guarded("running", [&] { run(*model, ids, passes); })
                          : pippin::Result<void>(tl::unexpected<pippin::Error>(model.error()));
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().message().c_str());
  return 1;
}
