// Specs are text that users write and share: TOML, expressions, patterns, and the modules they make.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "spec/module_tree.h"
#include "spec/spec_document.h"
#include "spec/spec_library.h"
#include "spec/weight_verbs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pippin;  // NOLINT(google-build-using-namespace)
  auto document = parse_toml(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.toml");
  if (!document) return 0;
  expand_module_keys(*document);
  auto spec = compile_spec("fuzz", *document);
  if (!spec) return 0;
  const SpecLibrary library;
  const Value config = {{"hidden_size", 8}, {"num_hidden_layers", 2}, {"vocab_size", 16}};
  auto scope = SpecScope::make(library, std::make_shared<const Spec>(std::move(*spec)), config);
  if (!scope) return 0;
  TensorMap tensors;
  tensors.emplace("model.layers.0.mlp.experts.0.w1.weight", from_source(0, DType::BF16, {4, 8}));
  tensors.emplace("model.norm.weight", from_source(1, DType::F32, {8}));
  (*scope)->look_at(&tensors, "");
  static_cast<void>(apply_weight_rules(**scope, tensors));
  static_cast<void>(build_modules(**scope));
  return 0;
}
