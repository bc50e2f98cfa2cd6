#include "pippin/html_report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "verify/html_chart.h"

namespace pippin {
namespace {

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --text: #1c1e21; --muted: #666c75; --page: #ffffff; --panel: #f5f6f8; --edge: #d9dce1;
  --accent: #2563eb; --good: #15803d; --bad: #c02626; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --muted: #9aa1ab; --page: #15171a; --panel: #1e2125;
  --edge: #33383f; --accent: #6ea8fe; --good: #4ade80; --bad: #f87171; } }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1.25rem; font: 15px/1.5 system-ui, sans-serif; color: var(--text);
  background: var(--page); }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } .muted, .tick { color: var(--muted); }
.verdict { border-radius: .5rem; padding: .8rem 1rem; margin: 1rem 0; background: var(--panel); border-left: .35rem solid; }
.good { color: var(--good); } .bad { color: var(--bad); } .verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--edge); white-space: nowrap; }
th { color: var(--muted); font-weight: 600; } th:first-child, td:first-child { text-align: left; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 15rem; }
.failed td { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; } .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; margin: 1rem 0; }
figure { margin: 0; padding: .8rem; background: var(--panel); border-radius: .5rem; } figcaption { font-weight: 600; font-size: .9rem; }
svg { width: 100%; height: auto; } .tick { fill: var(--muted); font-size: 11px; } .axis { stroke: var(--muted); } .grid { stroke: var(--edge); }
.bar { fill: var(--accent); } .line { fill: none; stroke: var(--accent); stroke-width: 1.5; } .dot { fill: var(--accent); }
.many .line { display: none; } .dot.bad { fill: var(--bad); } .bound { stroke: var(--bad); stroke-dasharray: 5 4; }
)";

std::string verdict_box(bool passed, const std::string& text) {
  return fmt::format("<p class=\"verdict {}\">{}</p>\n", passed ? "good" : "bad", html_escaped(text));
}

std::string row(const std::vector<std::string>& cells, bool failed = false, const char* kind = "td") {
  std::string text = failed ? "<tr class=\"failed\">" : "<tr>";
  for (const auto& cell : cells) text += fmt::format("<{0}>{1}</{0}>", kind, html_escaped(cell));
  return text + "</tr>\n";
}

std::string table(const std::vector<std::string>& head, const std::string& rows) {
  return "<div class=\"scroll\"><table>\n<thead>" + row(head, false, "th") + "</thead>\n<tbody>\n" + rows +
         "</tbody></table></div>\n";
}

std::string figure_of(double value) {
  return fmt::format("{:.4g}", value);
}

// How many tensors have a relative error of each power of ten; those without any on the left.
std::string error_histogram(const VerifyReport& report) {
  constexpr int lowest = -8;
  std::array<uint64_t, 10> counts{};
  for (const auto& tensor : report.tensors) {
    size_t bin = 0;
    if (tensor.relative_error > 0)
      bin = static_cast<size_t>(std::clamp(std::floor(std::log10(tensor.relative_error)) - lowest + 1, 1.0, 9.0));
    ++counts[bin];
  }
  std::vector<ChartBar> bars;
  for (size_t k = 0; k < counts.size(); ++k) {
    const std::string label = k == 0 ? "none" : fmt::format("1e{}", static_cast<int>(k) + lowest - 1);
    bars.push_back({label, fmt::format("{}: {} tensors", label, counts[k]), static_cast<double>(counts[k])});
  }
  return bar_chart("Tensors by relative error", bars);
}

std::string difference_histogram(const LogitAgreement& logits) {
  std::vector<ChartBar> bars;
  for (size_t k = 0; k < logits.histogram.size(); ++k) {
    const double power = static_cast<double>(k) / 2 - 9;
    const std::string label = k == 0 ? "less" : fmt::format("1e{}", static_cast<int>(power));
    bars.push_back({k % 4 == 0 ? label : "", fmt::format("from 10^{:.1f}: {} logits", power, logits.histogram[k]),
                    static_cast<double>(logits.histogram[k])});
  }
  return bar_chart("Logits by absolute difference", bars);
}

std::string tensors_section(const VerifyReport& report) {
  std::string rows;
  for (const auto& tensor : report.tensors) {
    const auto statistics = [](const TensorStatistics& s) {
      return fmt::format("{:.4g} .. {:.4g}, {:.3g} ± {:.3g}", s.smallest, s.largest, s.mean, s.deviation);
    };
    rows += row({tensor.name, tensor.format, std::to_string(tensor.elements), tensor.exact ? "yes" : "no",
                 figure_of(tensor.largest_error), figure_of(tensor.mean_error), figure_of(tensor.relative_error),
                 fmt::format("{:.6f}", tensor.cosine), statistics(tensor.before), statistics(tensor.after)},
                !tensor.exact);
  }
  std::vector<ChartPoint> points;
  for (const auto& tensor : report.tensors)
    points.push_back({fmt::format("{}: {:.3e}", tensor.name, tensor.relative_error), static_cast<int>(points.size()),
                      tensor.relative_error});
  std::string text = "<h2>Tensors</h2>\n<div class=\"plots many\">\n" + error_histogram(report) +
                     line_chart("Relative error of each tensor (exact ones at the bottom)", points, 0) + "</div>\n";
  text += table({"tensor", "stored as", "weights", "exact", "largest error", "mean error", "relative error", "cosine",
                 "before: range, mean ± deviation", "after"},
                rows);
  if (!report.structure.left_out.empty()) {
    std::string names;
    for (const auto& name : report.structure.left_out) names += row({name});
    text += "<h2>Left out by the architecture's rules</h2>\n" + table({"tensor of the source"}, names);
  }
  return text;
}

std::string checks_table(const Agreement& agreement) {
  std::string rows;
  for (const auto& check : agreement.checks)
    rows += row({check.what, figure_of(check.found),
                 fmt::format("{} {}", check.at_least ? "at least" : "at most", figure_of(check.bound)),
                 check.passed ? "passed" : "failed"},
                !check.passed);
  return table({"check", "found", "bound", ""}, rows);
}

std::string prompts_table(const Agreement& agreement) {
  std::string rows;
  for (const auto& prompt : agreement.prompts) {
    if (!prompt.logits) continue;
    const LogitAgreement& logits = *prompt.logits;
    rows += row({prompt.text.empty() ? "token ids" : prompt.text, std::to_string(prompt.tokens),
                 figure_of(logits.largest_difference), figure_of(logits.mean_difference), figure_of(logits.mean_kl),
                 fmt::format("{:.2f} %", 100 * logits.top1)});
  }
  return rows.empty() ? rows
                      : table({"prompt", "tokens", "largest difference", "mean difference", "mean KL", "top-1"}, rows);
}

std::string agreement_section(const Agreement& agreement) {
  std::string text = fmt::format("<h2>Behaviour against {}</h2>\n", html_escaped(agreement.expected));
  text +=
      verdict_box(agreement.passed(),
                  fmt::format("{} Bounds for {}.", agreement.passed() ? "Behaves as expected." : "Behaves differently.",
                              name_of(agreement.precision)));
  if (agreement.first_diverging_layer)
    text += verdict_box(false, fmt::format("The models diverge from layer {} on.", *agreement.first_diverging_layer));
  text += checks_table(agreement) + "<div class=\"plots\">\n";
  if (!agreement.layers.empty()) {
    std::vector<ChartPoint> points;
    for (const auto& layer : agreement.layers)
      points.push_back(
          {fmt::format("layer {}: {:.3e}", layer.layer, layer.relative_error), layer.layer, layer.relative_error});
    text +=
        line_chart("Relative error of each layer's output", points, agreement.thresholds.max_layer_error.value_or(0));
  }
  if (agreement.logits) text += difference_histogram(*agreement.logits);
  text += "</div>\n" + prompts_table(agreement);
  if (agreement.perplexity)
    text += fmt::format("<p>Perplexity on {} tokens of the {}: {:.4f}, expected {:.4f} ({:+.3f} %).</p>\n",
                        agreement.perplexity->tokens, agreement.perplexity_of_text ? "text" : "prompts",
                        agreement.perplexity->model, agreement.perplexity->expected,
                        100 * agreement.perplexity->increase());
  return text;
}

}  // namespace

std::string html_report(const HtmlTitles& titles, const VerifyReport& report, const BehaviourReport* behaviour) {
  const std::string title = html_escaped("pippin verify: " + titles.converted);
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"/>\n<title>{0}</title>\n<style>{1}</style></head>\n<body>\n"
      "<h1>{0}</h1>\n<p class=\"muted\">converted from {2}; {3}, {4}; {5} tensors of the source, {6} of the "
      "output</p>\n",
      title, style, html_escaped(titles.source), html_escaped(report.target), html_escaped(report.model_type),
      report.structure.source_tensors, report.structure.output_tensors);
  text += verdict_box(report.all_exact(),
                      report.all_exact()
                          ? fmt::format("All {} tensors are, bit for bit, what the conversion of the source gives.",
                                        report.tensors.size())
                          : fmt::format("{} of {} tensors differ from what the conversion of the source gives.",
                                        report.tensors.size() - report.exact, report.tensors.size()));
  if (behaviour == nullptr) {
    text += fmt::format("<p>Behaviour was not compared: {}.</p>\n", html_escaped(titles.skipped));
  } else {
    for (const auto& warning : behaviour->warnings) text += fmt::format("<p>Warning: {}</p>\n", html_escaped(warning));
    for (const auto& agreement : behaviour->agreements) text += agreement_section(agreement);
  }
  return text + tensors_section(report) + "</body>\n</html>\n";
}

}  // namespace pippin
