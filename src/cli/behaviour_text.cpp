#include "cli/behaviour_text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "cli/terminal.h"

namespace pippin::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string layers_text(const Agreement& agreement, bool all) {
  if (agreement.layers.empty()) return {};
  std::string text;
  if (all) {
    text += fmt::format("{:>7} {:>14} {:>12}\n", "layer", "relative error", "largest");
    for (const auto& layer : agreement.layers)
      text += fmt::format("{:>7} {:>14.3e} {:>12.3e}\n", layer.layer, layer.relative_error, layer.largest_difference);
  }
  const auto worst = std::max_element(agreement.layers.begin(), agreement.layers.end(),
                                      [](const auto& a, const auto& b) { return a.relative_error < b.relative_error; });
  text += fmt::format("layers      {} compared, relative error up to {:.3e} (layer {})\n", agreement.layers.size(),
                      worst->relative_error, worst->layer);
  if (agreement.first_diverging_layer) {
    text += fmt::format("            {}: the models diverge from there on\n",
                        red(fmt::format("layer {} is the first beyond {}", *agreement.first_diverging_layer,
                                        agreement.thresholds.max_layer_error.value_or(0)),
                            Stream::out));
  }
  return text;
}

std::string agreement_text(const Agreement& agreement, bool all) {
  std::string text = fmt::format("behaviour against {} ({}):\n", agreement.expected, name_of(agreement.precision));
  uint64_t tokens = 0;
  for (const auto& prompt : agreement.prompts) tokens += prompt.tokens;
  text += fmt::format("prompts     {} with {} tokens\n", agreement.prompts.size(), tokens);
  if (agreement.logits) {
    const LogitAgreement& logits = *agreement.logits;
    text += fmt::format(
        "logits      difference up to {:.3e}, mean {:.3e}; KL mean {:.3e}, up to {:.3e}; top-1 {:.2f} %\n",
        logits.largest_difference, logits.mean_difference, logits.mean_kl, logits.largest_kl, 100 * logits.top1);
  }
  text += layers_text(agreement, all);
  if (agreement.perplexity) {
    const PerplexityPair& pair = *agreement.perplexity;
    text += fmt::format("perplexity  {:.4f}, expected {:.4f} ({:+.3f} %), on {} tokens of the {}\n", pair.model,
                        pair.expected, 100 * pair.increase(), pair.tokens,
                        agreement.perplexity_of_text ? "text" : "prompts");
  }
  for (const auto& check : agreement.checks) {
    if (check.passed) continue;
    text += fmt::format("{}  {}: {:.4g}, {} {:.4g}\n", red("failed", Stream::out), check.what, check.found,
                        check.at_least ? "at least" : "at most", check.bound);
  }
  text += fmt::format(
      "{} {} of {} checks passed\n",
      agreement.passed() ? green("behaves:", Stream::out) : red("behaves differently:", Stream::out),
      std::count_if(agreement.checks.begin(), agreement.checks.end(), [](const Check& check) { return check.passed; }),
      agreement.checks.size());
  return text;
}

// JSON has no infinity: null says that a figure is none.
Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json json_of(const LogitAgreement& logits) {
  return {{"rows", logits.rows},
          {"largest_difference", number(logits.largest_difference)},
          {"mean_difference", number(logits.mean_difference)},
          {"mean_kl", number(logits.mean_kl)},
          {"largest_kl", number(logits.largest_kl)},
          {"top1", logits.top1},
          {"nonfinite_rows", logits.nonfinite_rows}};
}

Json json_of(const Agreement& agreement) {
  Json json = {{"expected", agreement.expected}, {"precision", name_of(agreement.precision)}};
  json["logits"] = agreement.logits ? json_of(*agreement.logits) : Json(nullptr);
  json["layers"] = Json::array();
  for (const auto& layer : agreement.layers)
    json["layers"].push_back({{"layer", layer.layer},
                              {"relative_error", number(layer.relative_error)},
                              {"largest_difference", number(layer.largest_difference)}});
  json["first_diverging_layer"] =
      agreement.first_diverging_layer ? Json(*agreement.first_diverging_layer) : Json(nullptr);
  json["perplexity"] = nullptr;
  if (agreement.perplexity)
    json["perplexity"] = {{"of", agreement.perplexity_of_text ? "text" : "prompts"},
                          {"tokens", agreement.perplexity->tokens},
                          {"expected", number(agreement.perplexity->expected)},
                          {"model", number(agreement.perplexity->model)},
                          {"increase", number(agreement.perplexity->increase())}};
  json["prompts"] = Json::array();
  for (const auto& prompt : agreement.prompts)
    json["prompts"].push_back({{"text", prompt.text},
                               {"tokens", prompt.tokens},
                               {"logits", prompt.logits ? json_of(*prompt.logits) : Json(nullptr)}});
  json["checks"] = Json::array();
  for (const auto& check : agreement.checks)
    json["checks"].push_back({{"what", check.what},
                              {"found", number(check.found)},
                              {check.at_least ? "at_least" : "at_most", number(check.bound)},
                              {"passed", check.passed}});
  json["passed"] = agreement.passed();
  return json;
}

}  // namespace

std::string behaviour_text(const BehaviourReport& report, bool all) {
  std::string text;
  for (const auto& warning : report.warnings) text += fmt::format("{} {}\n", yellow("warning:", Stream::out), warning);
  for (const auto& agreement : report.agreements) text += agreement_text(agreement, all);
  return text;
}

Json behaviour_json(const BehaviourReport& report) {
  Json json = {{"passed", report.passed()}, {"seconds", report.seconds}, {"warnings", report.warnings}};
  json["against"] = Json::array();
  for (const auto& agreement : report.agreements) json["against"].push_back(json_of(agreement));
  return json;
}

}  // namespace pippin::cli
