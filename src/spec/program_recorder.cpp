#include "spec/program_recorder.h"

#include <fmt/format.h>

#include "spec/decoder_operations.h"

namespace pippin {
namespace {

constexpr size_t max_nodes = 1'000'000;
constexpr int max_depth = 64;

// Operators between arrays, by the operations that they stand for.
std::string_view operation_of(std::string_view function) {
  if (function == "+") return "add";
  if (function == "-") return "subtract";
  if (function == "*") return "multiply";
  if (function == "/") return "divide";
  if (function == "**") return "power";
  return function;
}

tl::unexpected<Error> wrong(const std::string& rule) {
  return fail(ErrorTag::bad_spec, rule, "");
}

}  // namespace

Value ProgramRecorder::handle(int node) {
  return Value{{"$node", node}};
}

std::optional<int> ProgramRecorder::node(const Value& value) {
  if (!value.is_object() || value.size() != 1) return std::nullopt;
  const auto found = value.find("$node");
  if (found == value.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int>();
}

// A number between arrays becomes a node of its own.
Result<int> ProgramRecorder::input(const Value& value, const std::string& what) {
  if (const auto found = node(value)) {
    if (*found < 0 || static_cast<size_t>(*found) >= program_.nodes.size()) return wrong("unknown array");
    return *found;
  }
  if (!value.is_number()) return wrong(fmt::format("{} is an array, not {}", what, value.dump()));
  program_.nodes.push_back({"number", {}, Value{{"value", value}}, "", -1});
  return static_cast<int>(program_.nodes.size()) - 1;
}

std::optional<Result<Value>> ProgramRecorder::record(std::string_view op, const std::vector<Value>& arguments,
                                                     const Environment::Named& named, const std::string& prefix,
                                                     int layer) {
  const DecoderOperation* operation = find_decoder_operation(operation_of(op));
  if (operation == nullptr) return std::nullopt;
  if (program_.nodes.size() > max_nodes) return wrong("a decoder has at most a million operations");
  if (arguments.size() > operation->arguments.size()) return wrong("it reads " + operation->signature);
  for (const auto& [key, value] : named) {
    const bool known = std::any_of(operation->arguments.begin(), operation->arguments.end(),
                                   [&key = key](const auto& argument) { return argument.name == key; });
    if (!known) return wrong(fmt::format("{} is no argument: it reads {}", key, operation->signature));
  }
  DecoderNode made{operation->name, {}, Value::object(), "", layer};
  for (size_t k = 0; k < operation->arguments.size(); ++k) {
    const auto& argument = operation->arguments[k];
    const auto by_name = named.find(argument.name);
    if (k >= arguments.size() && by_name == named.end() && argument.required)
      return wrong(fmt::format("{} is missing: it reads {}", argument.name, operation->signature));
    const Value value = k < arguments.size()     ? arguments[k]
                        : by_name != named.end() ? by_name->second
                                                 : argument.fallback;
    if (argument.kind == OperationArgument::Kind::array) {
      if (value.is_null() && !argument.required) {
        made.inputs.push_back(-1);
        continue;
      }
      auto one = input(value, argument.name);
      if (!one) return tl::unexpected<Error>(one.error());
      made.inputs.push_back(*one);
    } else if (argument.kind == OperationArgument::Kind::arrays) {
      if (!value.is_array() || value.empty()) return wrong(fmt::format("{} is a list of arrays", argument.name));
      for (const auto& item : value) {
        auto one = input(item, "each of " + argument.name);
        if (!one) return tl::unexpected<Error>(one.error());
        made.inputs.push_back(*one);
      }
    } else if (argument.kind == OperationArgument::Kind::module && !value.is_null()) {
      if (!value.is_string()) return wrong(fmt::format("{} is a module's path", argument.name));
      made.attributes[argument.name] = prefix + value.get<std::string>();
    } else {
      made.attributes[argument.name] = value;
    }
  }
  program_.nodes.push_back(std::move(made));
  return handle(static_cast<int>(program_.nodes.size()) - 1);
}

void ProgramRecorder::name(const Value& handle, const std::string& step) {
  const auto found = node(handle);
  if (!found || *found < 0 || static_cast<size_t>(*found) >= program_.nodes.size()) return;
  auto& name = program_.nodes[static_cast<size_t>(*found)].step;
  if (name.empty()) name = step;
}

// What the expression of a function sees: its arguments, before what the steps see.
class StepScope::Body : public Environment {
 public:
  Body(const StepScope& steps, Names within) : steps_(steps), within_(std::move(within)) {}

  void set(std::string name, Value value) { arguments_.insert_or_assign(std::move(name), std::move(value)); }

  [[nodiscard]] std::optional<Result<Value>> lookup(std::string_view name) const override {
    if (const auto found = arguments_.find(name); found != arguments_.end()) return found->second;
    return steps_.lookup(name);
  }

  [[nodiscard]] std::optional<Result<Value>> call(std::string_view function, const std::vector<Value>& arguments,
                                                  const Named& named) const override {
    return steps_.call_within(within_, function, arguments, named);
  }

 private:
  const StepScope& steps_;
  Names within_;
  std::map<std::string, Value, std::less<>> arguments_;
};

StepScope::StepScope(const Environment* outer, const SpecDecoder::Steps& steps, const SpecDecoder::Functions& functions,
                     ProgramRecorder& recorder, std::string prefix, int layer)
    : outer_(outer), functions_(functions), recorder_(recorder), prefix_(std::move(prefix)), layer_(layer) {
  for (const auto& [name, expression] : steps) steps_[name] = &expression;
  if (!prefix_.empty() && !prefix_.ends_with('.')) prefix_ += '.';
}

std::optional<Result<Value>> StepScope::lookup(std::string_view name) const {
  if (const auto found = values_.find(name); found != values_.end()) return found->second;
  const auto step = steps_.find(name);
  if (step == steps_.end()) return outer_->lookup(name);
  if (depth_ > max_depth)
    return fail(ErrorTag::bad_spec, "steps must not be defined by themselves", step->second->where());
  ++depth_;
  auto value = step->second->evaluate(*this);
  --depth_;
  if (value) {
    recorder_.name(*value, step->first);
    values_.insert_or_assign(step->first, *value);
  }
  return value;
}

std::optional<Result<Value>> StepScope::call(std::string_view function, const std::vector<Value>& arguments,
                                             const Named& named) const {
  return call_within({}, function, arguments, named);
}

std::optional<Result<Value>> StepScope::call_within(const Names& functions, std::string_view function,
                                                    const std::vector<Value>& arguments, const Named& named) const {
  if (function == "path") {
    if (arguments.size() != 1 || !arguments[0].is_string()) return wrong("path takes a module's path");
    return Value(prefix_ + arguments[0].get<std::string>());
  }
  const auto own = functions_.find(function);
  if (own == functions_.end() || functions.contains(function)) {
    if (auto recorded = recorder_.record(function, arguments, named, prefix_, layer_)) return recorded;
    return outer_->call(function, arguments, named);
  }
  const auto& parameters = own->second.parameters;
  if (arguments.size() != parameters.size() || !named.empty())
    return wrong(fmt::format("{} takes {} arguments, in their order", function, parameters.size()));
  Names within = functions;
  within.emplace(function);
  Body body(*this, std::move(within));
  for (size_t k = 0; k < parameters.size(); ++k) body.set(parameters[k], arguments[k]);
  return own->second.value.evaluate(body);
}

}  // namespace pippin
