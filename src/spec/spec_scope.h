// What the expressions of a spec see: the fields of its part of config.json, its lets, and the tensors.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "spec/expression.h"
#include "spec/spec.h"
#include "spec/spec_library.h"
#include "spec/tensor_map.h"

namespace pippin {

class SpecScope : public Environment {
 public:
  // The scope of a spec over a whole config. Fails (bad_config) with all required fields that are missing.
  static Result<std::unique_ptr<SpecScope>> make(const SpecLibrary& library, SpecPtr spec, const Value& config);

  // The scope of a spec that this one includes.
  [[nodiscard]] Result<std::unique_ptr<SpecScope>> inner(const Include& include) const;

  // Names: fields, lets, `config` (this spec's part as an object), `root` (all of config.json).
  [[nodiscard]] std::optional<Result<Value>> lookup(std::string_view name) const override;
  // exists(name) any_name(pattern) count_names(pattern) dim(name, axis) rank(name) dtype(name); names are relative to
  // the prefix.
  [[nodiscard]] std::optional<Result<Value>> call(std::string_view function, const std::vector<Value>& arguments,
                                                  const Named& named) const override;

  // The tensors that the functions ask of; they must outlive the scope.
  void look_at(const TensorMap* tensors, std::string prefix) {
    tensors_ = tensors;
    prefix_ = std::move(prefix);
  }

  [[nodiscard]] const Spec& spec() const { return *spec_; }
  [[nodiscard]] const SpecLibrary& library() const { return *library_; }
  [[nodiscard]] const TensorMap* tensors() const { return tensors_; }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  SpecScope(const SpecLibrary& library, SpecPtr spec, Value root)
      : library_(&library), spec_(std::move(spec)), root_(std::move(root)) {}
  Status read_fields();
  [[nodiscard]] Result<Value> ask_tensors(std::string_view function, const std::vector<Value>& arguments) const;

  const SpecLibrary* library_;
  SpecPtr spec_;
  Value root_;
  Value config_;
  std::map<std::string, Value, std::less<>> given_;  // set by an including spec
  std::map<std::string, const SpecField*, std::less<>> computed_;
  std::map<std::string, Value, std::less<>> fields_;
  mutable std::map<std::string, Value, std::less<>> lets_;
  mutable int depth_ = 0;
  mutable int64_t asked_ = 0;  // questions put to the tensors
  const TensorMap* tensors_ = nullptr;
  std::string prefix_;
};

}  // namespace pippin
