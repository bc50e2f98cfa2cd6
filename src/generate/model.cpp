#include <future>

#include "generate/model_parts.h"

namespace pippin {
namespace {

struct TextParts {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;
};

Result<TextParts> open_text(const std::filesystem::path& folder) {
  PIPPIN_TRY(Tokenizer tokenizer, Tokenizer::open(folder));
  PIPPIN_TRY(std::optional<ChatTemplate> chat_template, ChatTemplate::of(folder));
  return TextParts{std::move(tokenizer), std::move(chat_template)};
}

}  // namespace

Result<Model> load(const std::filesystem::path& folder, const ModelOptions& options) {
  LoadOptions loading;
  loading.arch = options.arch;
  loading.arch_name = options.arch_name;
  loading.own_kernels = options.own_kernels;
  loading.check_memory = options.check_memory;
  auto text = std::async(std::launch::async, [&folder] { return open_text(folder); });
  auto language = LanguageModel::load(folder, loading);
  auto text_parts = text.get();
  // A folder that is no model at all is told as such, not as one without a tokenizer.
  if (!language) return tl::unexpected<Error>(std::move(language).error());
  if (!text_parts) return tl::unexpected<Error>(std::move(text_parts).error());
  return Model(std::make_unique<Model::Parts>(
      Model::Parts{std::move(*language), std::move(text_parts->tokenizer), std::move(text_parts->chat_template)}));
}

Model::Model(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const std::filesystem::path& Model::folder() const {
  return parts_->language.folder();
}
int Model::context_length() const {
  return parts_->language.context_length();
}
int Model::vocabulary_size() const {
  return parts_->language.vocabulary_size();
}
uint64_t Model::weight_bytes() const {
  return parts_->language.weight_bytes();
}
bool Model::has_chat_template() const {
  return parts_->chat_template.has_value();
}

}  // namespace pippin
