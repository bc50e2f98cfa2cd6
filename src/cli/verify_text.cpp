#include "cli/verify_text.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "cli/behaviour_text.h"
#include "cli/terminal.h"

namespace pippin::cli {
namespace {

struct Group {
  size_t tensors = 0;
  size_t exact = 0;
  uint64_t elements = 0;
  double largest_error = 0;
  double worst_relative = 0;
  double worst_cosine = 1;
};

std::string row_text(const std::string& name, const Group& group) {
  return fmt::format("{:<34} {:>7} {:>14} {:>7} {:>12.3e} {:>12.3e} {:>9.6f}\n", name, group.tensors,
                     count_text(group.elements), group.exact == group.tensors ? "all" : fmt::format("{}", group.exact),
                     group.largest_error, group.worst_relative, group.worst_cosine);
}

Group group_of(const TensorFidelity& tensor) {
  return {1,
          tensor.exact ? size_t{1} : size_t{0},
          tensor.elements,
          tensor.largest_error,
          tensor.relative_error,
          tensor.cosine};
}

std::string table_text(const VerifyReport& report, bool all) {
  std::string text = fmt::format("{:<34} {:>7} {:>14} {:>7} {:>12} {:>12} {:>9}\n", all ? "tensor" : "stored as",
                                 "tensors", "weights", "exact", "largest err", "rel. error", "cosine");
  std::map<std::string, Group> groups;
  for (const auto& tensor : report.tensors) {
    if (all) text += row_text(tensor.name, group_of(tensor));
    Group& group = groups[tensor.format];
    const Group one = group_of(tensor);
    group.tensors += 1;
    group.exact += one.exact;
    group.elements += one.elements;
    group.largest_error = std::max(group.largest_error, one.largest_error);
    group.worst_relative = std::max(group.worst_relative, one.worst_relative);
    group.worst_cosine = std::min(group.worst_cosine, one.worst_cosine);
  }
  if (!all) {
    for (const auto& [format, group] : groups) text += row_text(format, group);
  }
  return text;
}

std::string verdict_text(const VerifyReport& report) {
  if (report.all_exact())
    return fmt::format("{} all {} tensors are, bit for bit, what the conversion of the source gives ({:.2f} s)\n",
                       green("verified:", Stream::out), report.tensors.size(), report.seconds);
  std::string text =
      fmt::format("{} {} of {} tensors differ from what the conversion of the source gives:\n",
                  red("different:", Stream::out), report.tensors.size() - report.exact, report.tensors.size());
  size_t listed = 0;
  for (const auto& tensor : report.tensors) {
    if (!tensor.exact && ++listed <= 20)
      text += fmt::format("  {} ({}), relative error {:.3e}\n", tensor.name, tensor.format, tensor.relative_error);
  }
  return text;
}

nlohmann::ordered_json statistics_json(const TensorStatistics& one) {
  return {{"smallest", one.smallest}, {"largest", one.largest}, {"mean", one.mean}, {"deviation", one.deviation}};
}

}  // namespace

std::string tensors_text(const VerifyReport& report, bool all) {
  const StructureReport& structure = report.structure;
  std::string text = table_text(report, all);
  if (!structure.left_out.empty()) {
    text += fmt::format("of the source's {} tensors, {} belong to no parameter, by the architecture's rules{}\n",
                        structure.source_tensors, structure.left_out.size(), all ? ":" : " (--all lists them)");
    for (const auto& name : structure.left_out) text += all ? fmt::format("  {}\n", name) : std::string();
  }
  return text + verdict_text(report);
}

std::string behaviour_text(const BehaviourOutcome& behaviour, bool all) {
  return behaviour.report ? behaviour_text(*behaviour.report, all)
                          : fmt::format("behaviour: skipped ({})\n", behaviour.skipped);
}

nlohmann::ordered_json verify_json(const VerifyReport& report, const BehaviourOutcome& behaviour) {
  nlohmann::ordered_json json = {
      {"target", report.target},          {"model_type", report.model_type},
      {"tensors", report.tensors.size()}, {"exact", report.exact},
      {"weights", report.elements},       {"seconds", report.seconds},
      {"verified", report.all_exact()},   {"passed", report.all_exact() && behaviour.passed()}};
  json["structure"] = {{"source_tensors", report.structure.source_tensors},
                       {"output_tensors", report.structure.output_tensors},
                       {"left_out", report.structure.left_out}};
  json["behaviour"] =
      behaviour.report ? behaviour_json(*behaviour.report) : nlohmann::ordered_json{{"skipped", behaviour.skipped}};
  json["per_tensor"] = nlohmann::ordered_json::array();
  for (const auto& tensor : report.tensors) {
    json["per_tensor"].push_back({{"name", tensor.name},
                                  {"format", tensor.format},
                                  {"elements", tensor.elements},
                                  {"exact", tensor.exact},
                                  {"largest_error", tensor.largest_error},
                                  {"mean_error", tensor.mean_error},
                                  {"relative_error", tensor.relative_error},
                                  {"cosine", tensor.cosine},
                                  {"nonfinite", tensor.nonfinite},
                                  {"before", statistics_json(tensor.before)},
                                  {"after", statistics_json(tensor.after)}});
  }
  return json;
}

}  // namespace pippin::cli
