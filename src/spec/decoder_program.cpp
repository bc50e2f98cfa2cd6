#include "spec/decoder_program.h"

#include <fmt/format.h>

#include "spec/program_recorder.h"

namespace pippin {
namespace {

constexpr int64_t max_layers = 4096;

// A step's value, as a node; what is a number or text is no array.
Result<int> node_of(const std::optional<Result<Value>>& value, const Spec& spec, const char* key) {
  if (!value) {
    return fail(ErrorTag::bad_spec, fmt::format("a decoder has the step {}", key), spec.name,
                "architectures/README.md has the manual of [decoder]");
  }
  if (!*value) return tl::unexpected<Error>(value->error());
  const auto node = ProgramRecorder::node(**value);
  if (node) return *node;
  return fail(ErrorTag::bad_spec, fmt::format("the step {} gives an array", key),
              fmt::format("{}: {}", spec.name, (*value)->dump()));
}

class ProgramMaker {
 public:
  ProgramMaker(const SpecScope& scope, ProgramRecorder& recorder, std::string prefix)
      : scope_(scope), decoder_(*scope.spec().decoder), recorder_(recorder), prefix_(std::move(prefix)) {}

  Result<int> make(int& layers) {
    PIPPIN_TRY(const int64_t count, decoder_.layers.integer(scope_));
    if (count < 0 || count > max_layers) {
      return fail(ErrorTag::bad_config, fmt::format("a model has 0 to {} layers", max_layers),
                  fmt::format("config.json: {}", count));
    }
    layers = static_cast<int>(count);
    StepScope start(&scope_, decoder_.start, decoder_.functions, recorder_, prefix_, -1);
    start.set("ids", ProgramRecorder::handle(0));
    PIPPIN_CHECK(carry(start, ""));
    for (int i = 0; i < layers; ++i) PIPPIN_CHECK(layer(start, i));
    StepScope finish(&start, decoder_.finish, decoder_.functions, recorder_, prefix_, -1);
    for (const auto& [name, value] : carried_) finish.set(name, value);
    return node_of(finish.lookup("logits"), scope_.spec(), "finish.logits");
  }

 private:
  Status layer(StepScope& start, int number) {
    Bindings bindings(&start);
    bindings.set("i", number);
    for (const auto& [name, value] : carried_) bindings.set(name, value);
    PIPPIN_TRY(const std::string at, decoder_.at.fill(bindings));
    StepScope steps(&bindings, decoder_.layer, decoder_.functions, recorder_, prefix_ + at, number);
    return carry(steps, "next_");
  }

  // Takes over the values that go from layer to layer: x, and whatever has a next_NAME. All are read before any
  // changes.
  Status carry(StepScope& from, const std::string& prefix) {
    std::vector<std::pair<std::string, Value>> taken;
    for (const auto& name : decoder_.carried) {
      const auto value = from.lookup(prefix + name);
      PIPPIN_TRY(const int node, node_of(value, scope_.spec(), (prefix + name).c_str()));
      taken.emplace_back(name, ProgramRecorder::handle(node));
    }
    for (auto& [name, value] : taken) carried_[name] = value;
    return {};
  }

  const SpecScope& scope_;
  const SpecDecoder& decoder_;
  ProgramRecorder& recorder_;
  std::string prefix_;
  std::map<std::string, Value> carried_;
};

// What this config includes; its name may be an expression: "= inner". A part of config.json that is not there is the
// whole.
Result<Include> included(const SpecScope& scope) {
  Include include = *scope.spec().decoder->include;
  if (include.spec.starts_with("=")) {
    PIPPIN_TRY(const Expression name,
               Expression::parse(include.spec.substr(1), scope.spec().name + ": decoder.include"));
    PIPPIN_TRY(const Value value, name.evaluate(scope));
    if (!value.is_string()) return fail(ErrorTag::bad_spec, "include gives a spec's name", scope.spec().name);
    include.spec = value.get<std::string>();
  }
  PIPPIN_TRY(const Value config, *scope.lookup("config"));
  if (include.config.find('.') == std::string::npos && !config.contains(include.config)) include.config.clear();
  return include;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by depth
Result<int> record(const SpecScope& scope, ProgramRecorder& recorder, const std::string& prefix, int& layers,
                   int depth) {
  const Spec& spec = scope.spec();
  if (!spec.decoder) return tl::unexpected<Error>(no_decoder(spec.name));
  if (!spec.decoder->include) return ProgramMaker(scope, recorder, prefix).make(layers);
  if (depth > 4) return fail(ErrorTag::bad_spec, "decoders must not include each other", spec.name);
  PIPPIN_TRY(const Include include, included(scope));
  PIPPIN_TRY(std::unique_ptr<SpecScope> inner, scope.inner(include));
  const std::string below = prefix + spec.decoder->under;
  inner->look_at(scope.tensors(), below);
  return record(*inner, recorder, below, layers, depth + 1);
}

}  // namespace

bool has_decoder(const Spec& spec) {
  return spec.decoder.has_value();
}

Error no_decoder(const std::string& spec) {
  return {ErrorTag::unsupported,
          "the model's spec says how it runs",
          spec + " has no [decoder]",
          "`pippin architectures` tells which models run; converting works all the same",
          {}};
}

Result<DecoderProgram> make_decoder_program(const SpecScope& scope) {
  DecoderProgram program;
  program.nodes.push_back({"ids", {}, Value::object(), "ids", -1});
  ProgramRecorder recorder(program);
  PIPPIN_TRY(program.logits, record(scope, recorder, "", program.layers, 0));
  return program;
}

}  // namespace pippin
