#include "runtime/weight_source.h"

#include <cstdlib>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <mlx/io.h>

#include "execute/evaluator.h"
#include "plan/loaded_model.h"
#include "runtime/fault.h"
#include "runtime/memory.h"
#include "runtime/mlx_dtype.h"
#include "runtime/resident_weights.h"
#include "source/checkpoint.h"

namespace pippin {
namespace {

namespace mx = mlx::core;

class LoadedWeights : public WeightSource {
 public:
  LoadedWeights(Checkpoint checkpoint, LoadedModel model)
      : checkpoint_(std::move(checkpoint)), model_(std::move(model)) {
    for (size_t k = 0; k < model_.tree.modules.size(); ++k) {
      if (model_.packed[k]) packed_.emplace(model_.tree.modules[k].path, *model_.packed[k]);
    }
    find_divided();
  }

  Status take_files(bool resident) {
    if (resident) {
      PIPPIN_TRY(resident_, ResidentWeights::read(checkpoint_));
      return {};
    }
    for (const auto& file : checkpoint_.files()) {
      const std::string path = file->name();
      PIPPIN_TRY(auto read, guarded("opening " + path, [&] { return mx::load_safetensors(path).first; }));
      read_.push_back(std::move(read));
    }
    return {};
  }

  [[nodiscard]] bool has(std::string_view name) const override { return model_.tensors.contains(std::string(name)); }

  [[nodiscard]] Result<mx::array> load(const std::string& name) const override {
    const auto found = model_.tensors.find(name);
    if (found == model_.tensors.end()) {
      return fail(ErrorTag::mismatch, "the model has all tensors that its decoder needs",
                  fmt::format("{}: {} is missing", checkpoint_.folder().string(), name),
                  "`pippin verify SOURCE MODEL` compares the model with its source");
    }
    const Recipe& recipe = *found->second;
    const auto* leaf = std::get_if<FromSource>(&recipe.op);
    if (leaf == nullptr) return computed(recipe, name);
    const TensorInfo& info = checkpoint_.tensors()[leaf->tensor];
    return resident_ ? resident(recipe, leaf->tensor) : read_[info.file].at(info.name);
  }

  [[nodiscard]] QuantFormat packing(const std::string& module) const override {
    const auto found = packed_.find(module);
    return found == packed_.end() ? QuantFormat{} : found->second;
  }

  [[nodiscard]] bool divides_by_scale(const std::string& module) const override { return divided_.contains(module); }

  [[nodiscard]] uint64_t bytes() const override {
    uint64_t sum = 0;
    for (const auto& [name, recipe] : model_.tensors) sum += byte_size(*recipe);
    return sum;
  }

  [[nodiscard]] std::unique_ptr<SpecScope> take_scope() {
    model_.scope->look_at(&model_.tensors, "");
    return std::move(model_.scope);
  }

 private:
  // Layers that mlx-lm's loader made ternary divide by their scale, unless their class is "autobitlinear"; those that
  // are ternary by the model's own code never do.
  void find_divided() {
    const auto& config = checkpoint_.config();
    const auto declared = config.find("quantization_config");
    if (declared != config.end() && declared->is_object()) {
      const auto kind = declared->find("linear_class");
      if (kind != declared->end() && *kind == "autobitlinear") return;
    }
    for (const auto& module : model_.tree.modules) {
      for (const auto& parameter : module.parameters) {
        if (parameter.name == "weight_scale") divided_.insert(module.path);
      }
    }
  }

  [[nodiscard]] Result<mx::array> resident(const Recipe& recipe, uint32_t tensor) const {
    const TensorInfo& info = checkpoint_.tensors()[tensor];
    PIPPIN_TRY(const mx::Dtype dtype, mlx_dtype_of(recipe.dtype, info.name));
    PIPPIN_TRY(const mx::Shape shape, mlx_shape_of(recipe.shape, info.name));
    return guarded("taking " + info.name,
                   [&] { return mx::array(resident_->at(tensor), shape, dtype, [kept = resident_](void*) {}); });
  }

  [[nodiscard]] Result<mx::array> computed(const Recipe& recipe, const std::string& name) const {
    PIPPIN_TRY(const mx::Dtype dtype, mlx_dtype_of(recipe.dtype, name));
    PIPPIN_TRY(const mx::Shape shape, mlx_shape_of(recipe.shape, name));
    std::unique_ptr<std::byte, decltype(&std::free)> data(
        static_cast<std::byte*>(std::malloc(std::max<uint64_t>(byte_size(recipe), 1))), &std::free);
    if (!data) return fail(ErrorTag::io, "the memory is enough", name, "use a smaller or a quantized model");
    Evaluator evaluator({&checkpoint_, Rounding::metal, true});
    evaluator.start(size_t{8} << 20);
    PIPPIN_CHECK(evaluator.evaluate(recipe, whole_box(recipe.shape), data.get()));
    return guarded("taking " + name,
                   [&] { return mx::array(data.release(), shape, dtype, [](void* pointer) { std::free(pointer); }); });
  }

  Checkpoint checkpoint_;
  LoadedModel model_;
  std::map<std::string, QuantFormat, std::less<>> packed_;
  std::set<std::string, std::less<>> divided_;
  std::shared_ptr<ResidentWeights> resident_;
  std::vector<std::unordered_map<std::string, mx::array>> read_;
};

}  // namespace

Result<OpenedModel> open_weights(const std::filesystem::path& folder, const SpecLibrary& library, const SpecPtr& spec,
                                 bool resident, bool check_memory) {
  PIPPIN_TRY(Checkpoint checkpoint, Checkpoint::open(folder, FileSelection::mlx_lm));
  PlanRequest request;
  request.to_run = true;
  PIPPIN_TRY(LoadedModel model, load_model(checkpoint, library, spec, request));
  auto weights = std::make_unique<LoadedWeights>(std::move(checkpoint), std::move(model));
  if (check_memory) PIPPIN_CHECK(check_fit(weights->bytes(), folder));
  PIPPIN_CHECK(weights->take_files(resident));
  auto scope = weights->take_scope();
  return OpenedModel{std::move(weights), std::move(scope)};
}

}  // namespace pippin
