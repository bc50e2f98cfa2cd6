#include "runtime/language_model.h"

#include <fmt/format.h>
#include <mlx/ops.h>

#include "convert/request_of.h"
#include "convert/spec_choice.h"
#include "runtime/decoder.h"
#include "runtime/fault.h"
#include "runtime/weight_source.h"
#include "source/checkpoint.h"

namespace pippin {

namespace mx = mlx::core;

struct LanguageModel::Parts {
  std::filesystem::path folder;
  nlohmann::ordered_json config;
  SpecLibrary library;
  std::string spec;
  uint64_t weight_bytes = 0;
  int vocabulary = 0;
  std::unique_ptr<WeightSource> weights;
  std::optional<Decoder> decoder;
};

LanguageModel::LanguageModel(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LanguageModel::LanguageModel(LanguageModel&&) noexcept = default;
LanguageModel& LanguageModel::operator=(LanguageModel&&) noexcept = default;
LanguageModel::~LanguageModel() = default;

Result<LanguageModel> LanguageModel::load(const std::filesystem::path& folder, const LoadOptions& options) {
  auto parts = std::make_unique<Parts>();
  parts->folder = folder;
  const bool on_cpu = mx::default_device() == mx::Device::cpu;
  PIPPIN_TRY(parts->config, Checkpoint::read_config(folder));
  PIPPIN_TRY(parts->library, library_of(options.arch));
  PIPPIN_TRY(const SpecChoice choice,
             choose_spec_of(folder, parts->library, parts->config, "mlx-lm", options.arch_name));
  parts->spec = choice.spec;
  PIPPIN_TRY(const SpecPtr spec, parts->library.spec(choice.spec));
  if (!has_decoder(*spec)) return tl::unexpected<Error>(no_decoder(choice.spec));
  PIPPIN_TRY(OpenedModel opened, open_weights(folder, parts->library, spec, on_cpu, options.check_memory));
  parts->weights = std::move(opened.weights);
  parts->weight_bytes = parts->weights->bytes();
  PIPPIN_TRY(DecoderProgram program, make_decoder_program(*opened.scope));
  for (const auto& node : program.nodes) {
    if (node.op != "embedding" || parts->vocabulary > 0) continue;
    PIPPIN_TRY(const mx::array table, parts->weights->load(node.attributes["at"].get<std::string>() + ".weight"));
    parts->vocabulary = table.shape(0);
  }
  std::shared_ptr<ThreadPool> pool;
  if (on_cpu && options.own_kernels) pool = std::make_shared<ThreadPool>();
  PIPPIN_TRY(parts->decoder, Decoder::make(std::move(program), *parts->weights, std::move(pool)));
  return LanguageModel(std::move(parts));
}

KvCache LanguageModel::make_cache(const CacheOptions& options) const {
  return {options, parts_->decoder->caches()};
}

Result<mx::array> LanguageModel::forward(const mx::array& ids, KvCache& cache, bool last_only,
                                         const StepObserver* observer) const {
  if (ids.ndim() != 2 || ids.size() == 0)
    return fail(ErrorTag::usage, "token ids have a batch and a length", "", "give at least one token");
  return guarded("computing logits", [&] { return parts_->decoder->forward(ids, cache, last_only, observer); });
}

const nlohmann::ordered_json& LanguageModel::config() const {
  return parts_->config;
}
const std::filesystem::path& LanguageModel::folder() const {
  return parts_->folder;
}
const std::string& LanguageModel::spec() const {
  return parts_->spec;
}
int LanguageModel::layers() const {
  return parts_->decoder->layers();
}
int LanguageModel::vocabulary_size() const {
  return parts_->vocabulary;
}
uint64_t LanguageModel::weight_bytes() const {
  return parts_->weight_bytes;
}

int LanguageModel::context_length() const {
  for (const auto* part :
       {&parts_->config, parts_->config.contains("text_config") ? &parts_->config["text_config"] : &parts_->config}) {
    if (!part->is_object()) continue;
    const auto found = part->find("max_position_embeddings");
    if (found != part->end() && found->is_number_integer() && *found > 0 && *found < 1'000'000'000)
      return found->get<int>();
  }
  return 0;
}

}  // namespace pippin
