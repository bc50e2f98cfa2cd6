// Evaluates the steps of a [decoder] so that operations become nodes of a program.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "spec/decoder_program.h"
#include "spec/expression.h"
#include "spec/spec.h"

namespace pippin {

// Arrays are values of the form {"$node": 12} while a program is made.
class ProgramRecorder {
 public:
  explicit ProgramRecorder(DecoderProgram& program) : program_(program) {}

  static Value handle(int node);
  // The node of a handle; nothing for any other value.
  static std::optional<int> node(const Value& value);

  // Records an operation, with `prefix` before its modules. Nothing where there is no operation of that name.
  std::optional<Result<Value>> record(std::string_view op, const std::vector<Value>& arguments,
                                      const Environment::Named& named, const std::string& prefix, int layer);
  // Names the node, unless it has a name.
  void name(const Value& handle, const std::string& step);

 private:
  [[nodiscard]] Result<int> input(const Value& value, const std::string& what);
  DecoderProgram& program_;
};

// The steps of one part of a decoder: names defined by expressions, each evaluated once, when it is first asked for.
// Besides operations and the decoder's functions they can call path(at): the whole path of a module.
class StepScope : public Environment {
 public:
  StepScope(const Environment* outer, const SpecDecoder::Steps& steps, const SpecDecoder::Functions& functions,
            ProgramRecorder& recorder, std::string prefix, int layer);

  void set(std::string name, Value value) { values_.insert_or_assign(std::move(name), std::move(value)); }
  [[nodiscard]] std::optional<Result<Value>> lookup(std::string_view name) const override;
  [[nodiscard]] std::optional<Result<Value>> call(std::string_view function, const std::vector<Value>& arguments,
                                                  const Named& named) const override;

 private:
  class Body;
  using Names = std::set<std::string, std::less<>>;
  // The same within the expressions of functions, whose names stand for the operations there.
  [[nodiscard]] std::optional<Result<Value>> call_within(const Names& functions, std::string_view function,
                                                         const std::vector<Value>& arguments, const Named& named) const;

  const Environment* outer_;
  const SpecDecoder::Functions& functions_;
  std::map<std::string, const Expression*, std::less<>> steps_;
  ProgramRecorder& recorder_;
  std::string prefix_;  // ends in a dot where it is not empty
  int layer_;
  mutable std::map<std::string, Value, std::less<>> values_;
  mutable int depth_ = 0;
};

}  // namespace pippin
