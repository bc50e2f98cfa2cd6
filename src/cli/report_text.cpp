#include "cli/report_text.h"

#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace pippin::cli {
namespace {

// Numbers between dots become {i}, so that the layers of a model fold into one row.
std::string folded(const std::string& name) {
  std::string result;
  size_t begin = 0;
  while (begin <= name.size()) {
    const size_t dot = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, dot - begin);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    result += (result.empty() && begin == 0 ? "" : ".") + (number ? "{i}" : part);
    begin = dot + 1;
  }
  return result;
}

struct Row {
  size_t count = 0;
  uint64_t bytes = 0;
  std::set<std::string> dtypes;
  std::set<std::vector<int64_t>> shapes;
  std::set<std::string> rules;
};

std::string shapes_text(const std::set<std::vector<int64_t>>& shapes) {
  if (shapes.size() == 1) return fmt::format("[{}]", fmt::join(*shapes.begin(), ", "));
  return fmt::format("{} shapes", shapes.size());
}

std::string head(const ConvertReport& report) {
  std::string text = fmt::format("model       {} through {}{}\n", report.model_type, report.target,
                                 report.target_reason.empty() ? "" : " (" + report.target_reason + ")");
  text += fmt::format("source      {} read\n", bytes_text(static_cast<double>(report.source_bytes)));
  text += fmt::format("output      {} in {} tensors, {} file{}\n", bytes_text(static_cast<double>(report.output_bytes)),
                      count_text(report.tensors.size()), report.files.size(), report.files.size() == 1 ? "" : "s");
  text +=
      fmt::format("parameters  {}, {:.3f} bits per weight\n", count_text(report.parameters), report.bits_per_weight);
  return text;
}

}  // namespace

std::string plan_text(const ConvertReport& report) {
  std::vector<std::string> order;
  std::map<std::string, Row> rows;
  for (const auto& tensor : report.tensors) {
    const std::string name = folded(tensor.name);
    auto [row, is_new] = rows.try_emplace(name);
    if (is_new) order.push_back(name);
    row->second.count += 1;
    row->second.bytes += tensor.bytes;
    row->second.dtypes.insert(tensor.dtype);
    row->second.shapes.insert(tensor.shape);
    if (!tensor.rule.empty()) row->second.rules.insert(tensor.rule);
  }
  std::string text;
  for (const auto& name : order) {
    const Row& row = rows[name];
    text +=
        fmt::format("{:>5} x {:<56} {:<5} {:<20} {:>9}  {}\n", row.count, name, fmt::join(row.dtypes, "/"),
                    shapes_text(row.shapes), bytes_text(static_cast<double>(row.bytes)), fmt::join(row.rules, "; "));
  }
  if (!report.dropped.empty()) {
    std::map<std::string, size_t> dropped;
    for (const auto& name : report.dropped) ++dropped[folded(name)];
    text += fmt::format("\n{} source tensors are not part of the MLX model:\n", report.dropped.size());
    for (const auto& [name, count] : dropped) text += fmt::format("{:>5} x {}\n", count, name);
  }
  text += "\n" + head(report);
  text += fmt::format("memory      at most {} (predicted)\n", bytes_text(static_cast<double>(report.memory)));
  return text;
}

std::string done_text(const ConvertReport& report) {
  std::string text = head(report);
  const auto moved = static_cast<double>(report.source_bytes + report.output_bytes);
  text += fmt::format(
      "time        {:.2f} s, {}/s{}\n", report.seconds, bytes_text(report.seconds > 0 ? moved / report.seconds : 0),
      report.jobs_resumed > 0 ? fmt::format("; {} tensors were there already", report.jobs_resumed) : "");
  text += fmt::format("memory      {} at most\n", bytes_text(static_cast<double>(peak_memory())));
  if (!report.dropped.empty()) {
    text += fmt::format("left out    {} source tensors that are not part of the MLX model (--dry-run lists them)\n",
                        report.dropped.size());
  }
  text += fmt::format("checked     every tensor's name, dtype, shape and place, as planned\n");
  text += fmt::format("written to  {}\n", report.destination.string());
  return text;
}

nlohmann::ordered_json report_json(const ConvertReport& report, bool done) {
  nlohmann::ordered_json json = {{"target", report.target},
                                 {"target_reason", report.target_reason},
                                 {"model_type", report.model_type},
                                 {"spec", report.spec},
                                 {"destination", report.destination.string()},
                                 {"source_bytes", report.source_bytes},
                                 {"output_bytes", report.output_bytes},
                                 {"parameters", report.parameters},
                                 {"bits_per_weight", report.bits_per_weight},
                                 {"predicted_memory", report.memory},
                                 {"files", report.files},
                                 {"warnings", report.warnings},
                                 {"dropped", report.dropped}};
  if (done) {
    json["seconds"] = report.seconds;
    json["peak_memory"] = peak_memory();
    json["nonfinite_values"] = report.nonfinite_values;
    json["resumed"] = report.jobs_resumed;
    json["bytes_fetched"] = report.bytes_fetched;
  }
  json["tensors"] = nlohmann::ordered_json::array();
  for (const auto& tensor : report.tensors) {
    json["tensors"].push_back({{"name", tensor.name},
                               {"dtype", tensor.dtype},
                               {"shape", tensor.shape},
                               {"bytes", tensor.bytes},
                               {"file", tensor.file},
                               {"rule", tensor.rule},
                               {"source", tensor.source}});
  }
  return json;
}

}  // namespace pippin::cli
