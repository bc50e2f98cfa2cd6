#include "spec/spec_scope.h"

#include <array>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr int max_let_depth = 64;

// config["a"]["b"] for "a.b"; null where a step is missing.
Value at_path(const Value& config, const std::string& path) {
  Value at = config;
  size_t begin = 0;
  while (begin <= path.size() && !path.empty()) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, dot - begin);
    if (!at.is_object() || !at.contains(key)) return nullptr;
    at = Value(at[key]);
    begin = dot + 1;
  }
  return at;
}

}  // namespace

Result<std::unique_ptr<SpecScope>> SpecScope::make(const SpecLibrary& library, SpecPtr spec, const Value& config) {
  std::unique_ptr<SpecScope> scope(new SpecScope(library, std::move(spec), config));
  scope->config_ = at_path(config, scope->spec_->config);
  const bool absent = !scope->config_.is_object();
  if (absent && !scope->spec_->config_optional && !scope->spec_->merge_config) {
    return fail(ErrorTag::bad_config,
                fmt::format("{} models keep their settings in {}", scope->spec_->name, scope->spec_->config),
                fmt::format("config.json: {} is missing or no object", scope->spec_->config),
                "take config.json from the model's original repository");
  }
  if (absent)
    scope->config_ = config;
  else if (scope->spec_->merge_config) {
    Value merged = config;
    merged.update(scope->config_);
    scope->config_ = merged;
  }
  PIPPIN_CHECK(scope->read_fields());
  return scope;
}

Result<std::unique_ptr<SpecScope>> SpecScope::inner(const Include& include) const {
  PIPPIN_TRY(SpecPtr spec, library_->spec(library_->resolve(include.spec, spec_->name)));
  std::unique_ptr<SpecScope> scope(new SpecScope(*library_, std::move(spec), root_));
  if (include.config.empty()) {
    scope->config_ = config_;
  } else {
    scope->config_ = at_path(config_, include.config);
    if (!scope->config_.is_object()) scope->config_ = Value::object();
  }
  for (const auto& [name, expression] : include.with) {
    PIPPIN_TRY(Value value, expression.evaluate(*this));
    scope->given_.insert_or_assign(name, std::move(value));
  }
  scope->tensors_ = tensors_;
  scope->prefix_ = prefix_;
  PIPPIN_CHECK(scope->read_fields());
  return scope;
}

Status SpecScope::read_fields() {
  std::vector<std::string> missing;
  for (const auto& field : spec_->fields) {
    if (const auto given = given_.find(field.name); given != given_.end()) {
      fields_[field.name] = given->second;
      continue;
    }
    const bool present = config_.contains(field.name);
    const bool null = present && config_[field.name].is_null();
    if (present && !(null && (field.computed || field.required))) {
      fields_[field.name] = config_[field.name];
    } else if (null && field.flag) {
      fields_[field.name] = false;
    } else if (field.required) {
      missing.push_back(field.name);
    } else if (field.computed) {
      computed_[field.name] = &field;
    } else {
      fields_[field.name] = field.fallback;
    }
  }
  for (const auto& [name, value] : given_) fields_.emplace(name, value);
  if (missing.empty()) return {};
  return fail(ErrorTag::bad_config, fmt::format("config.json has the fields that {} needs", spec_->name),
              fmt::format("config.json: {} field{} missing", missing.size(), missing.size() == 1 ? "" : "s"),
              "take config.json from the model's original repository", missing);
}

std::optional<Result<Value>> SpecScope::lookup(std::string_view name) const {
  if (const auto found = fields_.find(name); found != fields_.end()) return found->second;
  if (const auto found = lets_.find(name); found != lets_.end()) return found->second;
  if (name == "config") return config_;
  if (name == "root") return root_;
  const Expression* expression = nullptr;
  if (const auto found = computed_.find(name); found != computed_.end()) expression = &*found->second->computed;
  for (const auto& [let, value] : spec_->lets) {
    if (let == name) expression = &value;
  }
  if (expression == nullptr) return std::nullopt;
  if (depth_ > max_let_depth) {
    return fail(ErrorTag::bad_spec, "names must not be defined by themselves",
                fmt::format("{}: {}", spec_->name, name));
  }
  ++depth_;
  const int64_t asked_before = asked_;
  auto value = expression->evaluate(*this);
  --depth_;
  // What asks the tensors may change between rules; what does not is kept.
  if (value && asked_ == asked_before) lets_.emplace(name, *value);
  return value;
}

std::optional<Result<Value>> SpecScope::call(std::string_view function, const std::vector<Value>& arguments,
                                             const Named& named) const {
  static constexpr std::array<std::string_view, 6> known{"exists", "any_name", "count_names", "dim", "rank", "dtype"};
  if (std::find(known.begin(), known.end(), function) == known.end() || !named.empty()) return std::nullopt;
  return ask_tensors(function, arguments);
}

Result<Value> SpecScope::ask_tensors(std::string_view function, const std::vector<Value>& arguments) const {
  const auto usage = [function](const char* what) {
    return fail(ErrorTag::bad_spec, fmt::format("{} takes {}", function, what), "");
  };
  ++asked_;
  if (arguments.empty() || !arguments[0].is_string()) return usage("a name");
  if (tensors_ == nullptr) return Value(nullptr);
  const auto& name = arguments[0].get_ref<const std::string&>();
  if (function == "any_name" || function == "count_names") {
    PIPPIN_TRY(NamePattern pattern, NamePattern::parse(name, spec_->name));
    int64_t count = 0;
    for (auto it = tensors_->lower_bound(prefix_); it != tensors_->end() && it->first.starts_with(prefix_); ++it) {
      if (!pattern.match(std::string_view(it->first).substr(prefix_.size()))) continue;
      if (function == "any_name") return Value(true);
      ++count;
    }
    return function == "any_name" ? Value(false) : Value(count);
  }
  const auto found = tensors_->find(prefix_ + name);
  if (function == "exists") return Value(found != tensors_->end());
  if (found == tensors_->end()) return Value(nullptr);
  const Shape& shape = found->second->shape;
  if (function == "rank") return Value(static_cast<int64_t>(shape.size()));
  if (function == "dtype") return Value(std::string(name_of(found->second->dtype)));
  if (arguments.size() != 2 || !arguments[1].is_number_integer()) return usage("a name and an axis");
  auto axis = arguments[1].get<int64_t>();
  if (axis < 0) axis += static_cast<int64_t>(shape.size());
  if (axis < 0 || axis >= static_cast<int64_t>(shape.size())) return Value(nullptr);
  return Value(shape[static_cast<size_t>(axis)]);
}

}  // namespace pippin
