#include "spec/module_tree.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr size_t max_modules = 2'000'000;
constexpr int64_t max_dimension = int64_t{1} << 40;

struct KindRow {
  std::string_view name;
  std::string_view usage;
  size_t dimensions;  // positional arguments
  bool quantizable;
  bool dequantizable;
};

constexpr std::array<KindRow, 11> kinds{{
    {"linear", "linear(out, in, bias=false)", 2, true, true},
    {"embedding", "embedding(rows, width)", 2, true, true},
    {"switch_linear", "switch_linear(experts, out, in, bias=false)", 3, true, true},
    {"multi_linear", "multi_linear(heads, out, in)", 3, true, false},
    {"rms_norm", "rms_norm(width)", 1, false, false},
    {"layer_norm", "layer_norm(width, bias=true, affine=true)", 1, false, false},
    {"batch_norm", "batch_norm(width)", 1, false, false},
    {"conv1d", "conv1d(out, kernel, in, bias=false)", 3, false, false},
    {"conv2d", "conv2d(out, kernel_h, kernel_w, in, bias=false)", 4, false, false},
    {"conv3d", "conv3d(out, kernel_t, kernel_h, kernel_w, in, bias=false)", 5, false, false},
    {"tensor", "tensor(dimensions...)", 0, false, false},
}};

const KindRow* kind_of(std::string_view name) {
  for (const auto& row : kinds) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// Module constructors as functions of the expression language: they give an object that says what to make.
class Constructors : public Environment {
 public:
  explicit Constructors(const Environment& outer) : outer_(outer) {}

  [[nodiscard]] std::optional<Result<Value>> lookup(std::string_view name) const override {
    return outer_.lookup(name);
  }

  [[nodiscard]] std::optional<Result<Value>> call(std::string_view function, const std::vector<Value>& arguments,
                                                  const Named& named) const override {
    const KindRow* row = kind_of(function);
    if (row == nullptr) return outer_.call(function, arguments, named);
    if (row->name != "tensor" && arguments.size() != row->dimensions) {
      return fail(ErrorTag::bad_spec, fmt::format("it reads {}", row->usage), "");
    }
    for (const auto& [key, value] : named) {
      if (key != "bias" && key != "affine" && key != "quantize" && key != "dequantize" && key != "repack") {
        return fail(ErrorTag::bad_spec, fmt::format("{} does not take {}", row->usage, key), "");
      }
    }
    Value made = {{"kind", function}, {"dimensions", arguments}};
    for (const auto& [key, value] : named) made[key] = truth(value);
    return made;
  }

 private:
  const Environment& outer_;
};

struct Node {
  std::string name;
  std::vector<std::unique_ptr<Node>> children;
  std::map<std::string, size_t, std::less<>> by_name;
  std::optional<MlxModule> module;
  // Parameters and children in the order in which they were made: a parameter's index, or ~index of a child.
  std::vector<std::ptrdiff_t> sequence;

  Node& child(std::string_view child_name) {
    const auto found = by_name.find(child_name);
    if (found != by_name.end()) return *children[found->second];
    by_name.emplace(child_name, children.size());
    sequence.push_back(~static_cast<std::ptrdiff_t>(children.size()));
    children.push_back(std::make_unique<Node>());
    children.back()->name = child_name;
    return *children.back();
  }
};

class Builder {
 public:
  Status groups(const SpecScope& scope, const std::string& prefix, int depth) {
    if (depth > 8) return fail(ErrorTag::bad_spec, "include must not run in a circle", scope.spec().name);
    for (const auto& group : scope.spec().modules) {
      Bindings bindings(&scope);
      PIPPIN_CHECK(loop(scope, group, prefix, bindings, 0, depth));
    }
    return {};
  }

  ModuleTree finish() {
    ModuleTree tree;
    order_lists(root_);
    flatten(root_, "", tree);
    last_first(root_, "", tree.paths_last_first);
    return tree;
  }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): one level for each loop
  Status loop(const SpecScope& scope, const ModuleGroup& group, const std::string& prefix, Bindings& bindings,
              size_t level, int depth) {
    if (level == group.loops.size()) return expand(scope, group, prefix, bindings, depth);
    PIPPIN_TRY(Value over, group.loops[level].over.evaluate(bindings));
    if (over.is_null()) return {};
    if (!over.is_array()) {
      return fail(ErrorTag::bad_config, "a loop runs over a list",
                  fmt::format("{}: \"{}\" is {}", group.loops[level].over.where(), group.loops[level].over.text(),
                              over.dump()));
    }
    for (const auto& item : over) {
      bindings.set(group.loops[level].variable, item);
      PIPPIN_CHECK(loop(scope, group, prefix, bindings, level + 1, depth));
    }
    return {};
  }

  // NOLINTNEXTLINE(misc-no-recursion): depth is counted
  Status expand(const SpecScope& scope, const ModuleGroup& group, const std::string& prefix, const Bindings& bindings,
                int depth) {
    if (group.condition) {
      PIPPIN_TRY(const bool wanted, group.condition->test(bindings));
      if (!wanted) return {};
    }
    PIPPIN_TRY(const std::string at, group.at.fill(bindings));
    const std::string place = join(prefix, at);
    if (group.include) {
      PIPPIN_TRY(auto inner, inner_scope(scope, *group.include, bindings));
      inner->look_at(scope.tensors(), place.empty() ? "" : place + ".");
      PIPPIN_CHECK(groups(*inner, place, depth + 1));
    }
    const Constructors constructors(bindings);
    for (const auto& entry : group.entries) {
      PIPPIN_TRY(Value made, entry.value.evaluate(constructors));
      if (made.is_null() || (made.is_boolean() && !made.get<bool>())) continue;
      PIPPIN_TRY(const std::string name, entry.name.fill(bindings));
      PIPPIN_CHECK(add(join(place, name), made, entry.value));
    }
    return {};
  }

  // An include inside a loop may use the loop's variables in `with`.
  static Result<std::unique_ptr<SpecScope>> inner_scope(const SpecScope& scope, const Include& include,
                                                        const Bindings& bindings) {
    if (include.with.empty()) return scope.inner(include);
    Include bound = include;
    for (auto& [name, expression] : bound.with) {
      PIPPIN_TRY(Value value, expression.evaluate(bindings));
      PIPPIN_TRY(expression, Expression::parse(value.is_null() ? "none" : value.dump(), expression.where()));
    }
    return scope.inner(bound);
  }

  static std::string join(const std::string& left, const std::string& right) {
    if (left.empty()) return right;
    return right.empty() ? left : left + "." + right;
  }

  Status add(const std::string& path, const Value& made, const Expression& expression) {
    if (!made.is_object() || !made.contains("kind")) {
      return fail(ErrorTag::bad_spec, "a module's value is a constructor",
                  fmt::format("{}: {}", expression.where(), made.dump()));
    }
    if (++count_ > max_modules) {
      return fail(ErrorTag::bad_config, fmt::format("a model has at most {} modules", max_modules), expression.where(),
                  "check the layer and expert counts in config.json");
    }
    Shape dimensions;
    for (const auto& item : made["dimensions"]) {
      const bool fine = item.is_number_integer() && item.get<int64_t>() >= 0 && item.get<int64_t>() <= max_dimension;
      if (!fine) {
        return fail(ErrorTag::bad_config, "a dimension is an integer between 0 and 2^40",
                    fmt::format("{}: {} in \"{}\"", expression.where(), item.dump(), expression.text()),
                    "check the sizes in config.json");
      }
      dimensions.push_back(item.get<int64_t>());
    }
    if (!checked_element_count(dimensions)) {
      return fail(ErrorTag::bad_config, "a parameter has less than 2^63 elements",
                  fmt::format("{}: {}", expression.where(), to_string(dimensions)), "check the sizes in config.json");
    }
    place(path, made, dimensions);
    return {};
  }

  void place(const std::string& path, const Value& made, const Shape& dimensions) {
    const KindRow& row = *kind_of(made["kind"].get_ref<const std::string&>());
    const bool bare = row.name == "tensor";
    const size_t last_dot = path.rfind('.');
    const std::string module_path = !bare ? path : (last_dot == std::string::npos ? "" : path.substr(0, last_dot));
    Node* node = &root_;
    for (size_t begin = 0; begin < module_path.size();) {
      const size_t dot = std::min(module_path.find('.', begin), module_path.size());
      node = &node->child(std::string_view(module_path).substr(begin, dot - begin));
      begin = dot + 1;
    }
    if (!node->module) node->module = MlxModule{module_path, std::string(row.name), {}, false, false, true};
    MlxModule& module = *node->module;
    if (!bare) {
      module.kind = row.name;
      module.quantizable = row.quantizable && made.value("quantize", true);
      module.dequantizable = row.dequantizable && made.value("dequantize", true);
      module.repacks = module.quantizable && made.value("repack", false);
    }
    for (auto& parameter : parameters(row, made, dimensions, bare ? path.substr(last_dot + 1) : "")) {
      const auto same = std::find_if(module.parameters.begin(), module.parameters.end(),
                                     [&](const MlxParameter& known) { return known.name == parameter.name; });
      if (same != module.parameters.end()) {
        *same = std::move(parameter);
        continue;
      }
      node->sequence.push_back(static_cast<std::ptrdiff_t>(module.parameters.size()));
      module.parameters.push_back(std::move(parameter));
    }
  }

  static std::vector<MlxParameter> parameters(const KindRow& row, const Value& made, const Shape& dimensions,
                                              const std::string& bare_name) {
    if (row.name == "tensor") return {{bare_name, dimensions}};
    std::vector<MlxParameter> result;
    const bool norm = row.name == "layer_norm";
    if (made.value("affine", true)) result.push_back({"weight", dimensions});
    if (row.name == "batch_norm") {
      return {{"weight", dimensions}, {"bias", dimensions}, {"running_mean", dimensions}, {"running_var", dimensions}};
    }
    if (made.value("bias", norm) && made.value("affine", true)) {
      const bool expert = row.name == "switch_linear";
      result.push_back({"bias", expert ? Shape{dimensions[0], dimensions[1]} : Shape{dimensions[0]}});
    }
    return result;
  }

  // Numbered children are lists in MLX and come in the order of their numbers, whichever group named them first.
  // NOLINTNEXTLINE(misc-no-recursion): as deep as the names
  static void order_lists(Node& node) {
    const auto numbered = [](const auto& child) {
      return child->name.find_first_not_of("0123456789") == std::string::npos;
    };
    const bool list = node.children.size() > 1 && std::all_of(node.children.begin(), node.children.end(), numbered);
    if (list && node.sequence.size() == node.children.size()) {
      const auto less = [](const auto& a, const auto& b) {
        return a->name.size() != b->name.size() ? a->name.size() < b->name.size() : a->name < b->name;
      };
      std::sort(node.children.begin(), node.children.end(), less);
      for (size_t i = 0; i < node.children.size(); ++i) node.sequence[i] = ~static_cast<std::ptrdiff_t>(i);
    }
    for (auto& child : node.children) order_lists(*child);
  }

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the names
  static void flatten(Node& node, const std::string& path, ModuleTree& tree) {
    size_t index = 0;
    if (node.module) {
      node.module->leaf = node.children.empty();
      index = tree.modules.size();
      tree.modules.push_back(*node.module);
    }
    for (const auto item : node.sequence) {
      if (item >= 0) {
        tree.order.emplace_back(index, static_cast<size_t>(item));
      } else {
        Node& child = *node.children[static_cast<size_t>(~item)];
        flatten(child, join(path, child.name), tree);
      }
    }
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  static void last_first(const Node& node, const std::string& path, std::vector<std::string>& paths) {
    paths.push_back(path);
    for (size_t i = node.children.size(); i-- > 0;)
      last_first(*node.children[i], join(path, node.children[i]->name), paths);
  }

  Node root_;
  size_t count_ = 0;
};

}  // namespace

Result<ModuleTree> build_modules(const SpecScope& scope) {
  Builder builder;
  PIPPIN_CHECK(builder.groups(scope, "", 0));
  return builder.finish();
}

std::vector<std::string> module_constructors() {
  std::vector<std::string> result;
  result.reserve(kinds.size());
  for (const auto& row : kinds) result.emplace_back(row.usage);
  return result;
}

}  // namespace pippin
