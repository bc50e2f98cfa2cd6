// The tensor names of published checkpoints (tests/real_index), sent through the specs of their model types: each name
// is taken or dropped by a rule, and no parameter of the model is without one. Shapes are not known and not compared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>

#include "spec/module_tree.h"
#include "spec/name_pattern.h"
#include "spec/spec_library.h"
#include "spec/weight_verbs.h"

namespace pippin {
namespace {

using testing::IsEmpty;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path folder = fs::path(PIPPIN_SOURCE_DIR) / "tests" / "real_index";

Json read_json(const fs::path& path) {
  std::ifstream stream(path);
  return Json::parse(stream);
}

// "a.[0-1,4].b" stands for a.0.b, a.1.b and a.4.b.
void expand(const std::string& text, std::vector<std::string>& names) {
  const size_t open = text.find('[');
  if (open == std::string::npos) return names.push_back(text);
  const size_t close = text.find(']', open);
  const char* at = text.data() + open + 1;
  while (at < text.data() + close) {
    int first = 0;
    at = std::from_chars(at, text.data() + close, first).ptr;
    int last = first;
    if (*at == '-') at = std::from_chars(at + 1, text.data() + close, last).ptr;
    for (int i = first; i <= last; ++i) {
      expand(text.substr(0, open) + std::to_string(i) + text.substr(close + 1), names);
    }
    ++at;  // the comma
  }
}

std::vector<std::string> names_of(const Json& index) {
  std::vector<std::string> names;
  for (const auto& text : index["names"]) expand(text.get<std::string>(), names);
  return names;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// A source packed by GPTQ, compressed-tensors or MLX: the packed tensors of a layer stand for its weight.
void take_packed(std::set<std::string>& names) {
  std::set<std::string> result;
  for (const auto& name : names) {
    const std::string layer = name.substr(0, name.rfind('.'));
    const std::string last = name.substr(name.rfind('.') + 1);
    if (last == "qweight" || last == "weight_packed") {
      result.insert(layer + ".weight");
    } else if (last == "qzeros" || last == "g_idx" || last == "weight_shape" || last == "weight_scale") {
      continue;
    } else if ((last == "scales" || last == "biases") &&
               (names.contains(layer + ".weight") || names.contains(layer + ".qweight"))) {
      continue;
    } else {
      result.insert(name);
    }
  }
  names = std::move(result);
}

// Some shape with which the rules run: from known.json (pattern to shape, for one file or for every), or else by the
// name.
Shape shape_of(const std::string& name, const Json& shapes, const std::string& file) {
  for (const std::string& key : {file, std::string("every")}) {
    if (!shapes.contains(key)) continue;
    for (const auto& [pattern, shape] : shapes[key].items()) {
      if (NamePattern::parse(pattern, "known.json")->match(name)) return shape.get<Shape>();
    }
  }
  if (name.ends_with("bias") || name.find("norm") != std::string::npos || name.ends_with("inv_freq")) return {2};
  return {2, 2};
}

std::vector<std::string> faults_of(const SpecLibrary& library, const std::string& spec_name, const Json& index,
                                   const Json& shapes, const std::string& file) {
  std::vector<std::string> faults;
  const auto spec = library.spec(spec_name);
  if (!spec) return {spec.error().message()};
  auto scope = SpecScope::make(library, *spec, Value(index["config"]));
  if (!scope) return {scope.error().message()};
  const auto all = names_of(index);
  std::set<std::string> names(all.begin(), all.end());
  if (all.size() != index["count"] || names.size() != all.size()) return {"the file expands to other names"};
  std::set<std::string> gptq;  // AutoGPTQ writes a bias of zeros for every layer; these are not the spec's concern
  for (const auto& name : names) {
    if (name.ends_with(".g_idx")) gptq.insert(name.substr(0, name.rfind('.')));
  }
  take_packed(names);
  TensorMap tensors;
  uint32_t number = 0;
  for (const auto& name : names)
    tensors.emplace(name, from_source(number++, DType::BF16, shape_of(name, shapes, file)));
  (*scope)->look_at(&tensors, "");
  if (const auto status = apply_weight_rules(**scope, tensors); !status) return {status.error().message()};
  const auto tree = build_modules(**scope);
  if (!tree) return {tree.error().message()};
  const std::string prefix = "language_model.";
  std::set<std::string> expected;
  for (const auto& [module, parameter] : tree->order) {
    expected.insert(tree->modules[module].name_of(tree->modules[module].parameters[parameter].name));
  }
  for (const auto& name : expected) {
    if (!tensors.contains(name)) faults.push_back("missing " + name);
  }
  for (const auto& [name, tensor] : tensors) {
    const std::string layer = name.substr(0, name.rfind('.'));
    const bool of_packed =
        (name.ends_with(".scales") || name.ends_with(".biases")) && expected.contains(layer + ".weight");
    const bool zeros =
        name.ends_with(".bias") && gptq.contains(layer.substr(layer.starts_with(prefix) ? prefix.size() : 0));
    if (!expected.contains(name) && !of_packed && !zeros) faults.push_back("unexpected " + name);
  }
  return faults;
}

std::vector<fs::path> files() {
  std::vector<fs::path> result;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find("--") != std::string::npos) result.push_back(entry.path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

class RealIndex : public testing::TestWithParam<fs::path> {};

TEST_P(RealIndex, EveryNameIsAccountedFor) {
  const SpecLibrary library = SpecLibrary::built_in();
  const Json index = read_json(GetParam());
  const Json known = read_json(folder / "known.json");
  const std::string key = GetParam().stem().string();
  const std::string type = index["model_type"].get<std::string>();
  const auto architectures = index["config"].value("architectures", std::vector<std::string>{});
  size_t specs = 0;
  for (const std::string target : {"mlx_lm", "mlx_vlm"}) {
    if (known["not for"].value(key, Json::object()).contains(target)) continue;
    const auto name = library.find(target, target == "mlx_lm" ? type : lower(type), architectures);
    ASSERT_TRUE(name) << name.error().message();
    if (name->empty()) continue;
    ++specs;
    auto faults = faults_of(library, *name, index, known["shapes"], key);
    if (faults.size() > 12) faults.resize(12);
    EXPECT_THAT(faults, IsEmpty()) << *name;
  }
  EXPECT_GT(specs, 0u) << "no spec takes " << type;
}

INSTANTIATE_TEST_SUITE_P(Published, RealIndex, testing::ValuesIn(files()), [](const auto& published) {
  std::string name = published.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace
}  // namespace pippin
