// Plots as inline SVG, in colours of the page's style sheet.
#pragma once

#include <string>
#include <vector>

namespace pippin {

struct ChartBar {
  std::string label;  // below the bar; empty: none
  std::string title;  // shown where the pointer rests
  double value = 0;   // 0 or more
};

// Bars from zero up.
std::string bar_chart(const std::string& caption, const std::vector<ChartBar>& bars);

struct ChartPoint {
  std::string title;
  int place = 0;     // along the axis
  double value = 0;  // 0 or more; infinity lies at the top
};

// Values on a logarithmic axis, joined by a line, with a dashed line at the bound where it is above 0.
std::string line_chart(const std::string& caption, const std::vector<ChartPoint>& points, double bound);

// & < > " ' as entities; control characters and bytes that are not UTF-8 as U+FFFD.
std::string html_escaped(const std::string& text);

}  // namespace pippin
