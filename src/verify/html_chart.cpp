#include "verify/html_chart.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace pippin {
namespace {

constexpr double width = 640;
constexpr double height = 220;
constexpr double left = 64;
constexpr double bottom = 30;
constexpr double top = 12;
constexpr double plot_width = width - left - 12;
constexpr double plot_height = height - top - bottom;
constexpr std::string_view replacement = "\xEF\xBF\xBD";

// Colours stand as attributes too, for viewers that do not apply the page's style sheet to plots.
std::string framed(const std::string& caption, const std::string& content) {
  return fmt::format(
      "<figure><figcaption>{0}</figcaption><svg viewBox=\"0 0 {1} {2}\" role=\"img\" aria-label=\"{0}\">\n{3}"
      "<line class=\"axis\" stroke=\"gray\" x1=\"{4}\" y1=\"{5}\" x2=\"{6}\" y2=\"{5}\"/>\n</svg></figure>\n",
      html_escaped(caption), width, height, content, left, top + plot_height, left + plot_width);
}

std::string grid_line(double y, const std::string& label) {
  return fmt::format(
      "<line class=\"grid\" stroke=\"silver\" x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\"/>"
      "<text class=\"tick\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
      left, y, left + plot_width, left - 6, y + 4, label);
}

std::string tick(double x, const std::string& label) {
  return fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x,
                     top + plot_height + 16, html_escaped(label));
}

// How many bytes the UTF-8 sequence at the text's begin has; 0 where it is none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80                    ? 1
                        : first >= 0xC2 && first < 0xE0 ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool beyond = (first == 0xED && byte(1) >= 0xA0) || (first == 0xF4 && byte(1) >= 0x90);
  const bool no_character = first == 0xEF && byte(1) == 0xBF && byte(2) >= 0xBE;  // U+FFFE and U+FFFF: not in XML
  return overlong || beyond || no_character ? 0 : length;
}

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t length = sequence_length(rest);
    const char c = rest[0];
    if (length == 0 || (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      out += replacement;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += rest.substr(0, length);
    }
    rest.remove_prefix(std::max<size_t>(1, length));
  }
  return out;
}

std::string bar_chart(const std::string& caption, const std::vector<ChartBar>& bars) {
  double highest = 0;
  for (const auto& bar : bars) highest = std::max(highest, bar.value);
  if (highest <= 0) highest = 1;
  std::string content = grid_line(top, fmt::format("{:.3g}", highest)) + grid_line(top + plot_height, "0");
  const double step = plot_width / static_cast<double>(std::max<size_t>(1, bars.size()));
  for (size_t k = 0; k < bars.size(); ++k) {
    const double x = left + step * static_cast<double>(k);
    const double tall = bars[k].value > 0 ? std::max(1.0, bars[k].value / highest * plot_height) : 0;
    content += fmt::format(
        "<rect class=\"bar\" fill=\"royalblue\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
        "height=\"{:.1f}\"><title>{}</title></rect>\n",
        x + step * 0.08, top + plot_height - tall, step * 0.84, tall, html_escaped(bars[k].title));
    if (!bars[k].label.empty()) content += tick(x + step / 2, bars[k].label);
  }
  return framed(caption, content);
}

std::string line_chart(const std::string& caption, const std::vector<ChartPoint>& points, double bound) {
  double low = 1;
  double high = 1e-12;
  int last = 1;
  const auto take = [&](double value) {
    if (!(value > 0) || !std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const auto& point : points) {
    take(point.value);
    last = std::max(last, point.place);
  }
  take(bound);
  const double floor = std::floor(std::log10(std::max(low, 1e-12)));
  const double ceiling = std::max(floor + 1, std::ceil(std::log10(high)));
  const auto y_of = [&](double value) {
    const double place = value > 0 ? std::clamp((std::log10(value) - floor) / (ceiling - floor), 0.0, 1.0) : 0;
    return top + plot_height * (1 - place);
  };
  const auto x_of = [&](int place) { return left + plot_width * (place + 0.5) / (last + 1); };
  std::string content;
  const double every = std::ceil((ceiling - floor) / 6);
  for (double power = floor; power <= ceiling; power += every)
    content += grid_line(y_of(std::pow(10, power)), fmt::format("1e{}", static_cast<int>(power)));
  if (bound > 0)
    content +=
        fmt::format("<line class=\"bound\" stroke=\"red\" x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\"/>\n",
                    left, y_of(bound), left + plot_width);
  std::string path;
  std::string dots;
  for (const auto& point : points) {
    path += fmt::format("{:.1f},{:.1f} ", x_of(point.place), y_of(point.value));
    dots += fmt::format(
        "<circle class=\"{}\" fill=\"royalblue\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"><title>{}</title></circle>\n",
        bound > 0 && !(point.value <= bound) ? "dot bad" : "dot", x_of(point.place), y_of(point.value),
        html_escaped(point.title));
  }
  content += fmt::format("<polyline class=\"line\" fill=\"none\" stroke=\"royalblue\" points=\"{}\"/>\n{}", path, dots);
  const int labels = std::max(1, last / 10);
  for (int place = 0; place <= last; place += labels) content += tick(x_of(place), std::to_string(place));
  return framed(caption, content);
}

}  // namespace pippin
