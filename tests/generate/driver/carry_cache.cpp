// carry_cache write FOLDER FILE IDS [--arch FOLDER]: reads the ids (a,b,c) and keeps what is left in a prompt cache
// file. carry_cache read FOLDER FILE IDS [--arch FOLDER]: goes on from one; the logits of each of the ids as JSON
// lines.
#include <cstdio>
#include <string>
#include <vector>

#include <mlx/device.h>

#include "generate/prompt_cache_file.h"
#include "runtime/driver/logit_lines.h"
#include "runtime/fault.h"

namespace mx = mlx::core;

namespace {

void keep(const pippin::LanguageModel& model, const std::string& file, const std::vector<int32_t>& ids) {
  pippin::TokenContext context(model, pippin::GenerateOptions{});
  const std::span<const int32_t> all(ids);
  pippin::value_or_throw(context.read(all.first(all.size() - 1)));
  pippin::value_or_throw(context.read(all.last(1)));
  pippin::value_or_throw(pippin::check_cache_kind(model, {}));
  pippin::value_or_throw(pippin::write_prompt_cache(file, context, {"a model", ""}));
}

void go_on(const pippin::LanguageModel& model, const std::string& file, const std::vector<int32_t>& ids) {
  auto stored = pippin::value_or_throw(pippin::read_prompt_cache(file, model, "a model", {}));
  for (const int32_t& id : ids) {
    pippin::print_rows(pippin::value_or_throw(stored.context.read({&id, 1})));
  }
}

}  // namespace

int main(int argc, char** argv) {
  mx::set_default_device(mx::Device::cpu);
  if (argc < 5) return 2;
  pippin::LoadOptions options;
  options.own_kernels = false;
  if (argc > 6) options.arch.emplace_back(argv[6]);
  auto model = pippin::LanguageModel::load(argv[2], options);
  const auto done = model ? pippin::guarded("running",
                                            [&] {
                                              const auto& run = argv[1] == std::string("write") ? keep : go_on;
                                              run(*model, argv[3], pippin::numbers(argv[4]));
                                            })
                          : pippin::Result<void>(tl::unexpected<pippin::Error>(model.error()));
  if (done) return 0;
  std::fputs(done.error().message().c_str(), stderr);
  return 1;
}
