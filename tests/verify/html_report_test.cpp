#include "pippin/html_report.h"

#include <gmock/gmock.h>

#include "verify/html_chart.h"

using namespace pippin;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace {

VerifyReport report_of(const std::string& name) {
  VerifyReport report;
  report.target = "mlx-lm";
  report.model_type = "llama";
  TensorFidelity tensor;
  tensor.name = name;
  tensor.format = "BF16";
  tensor.exact = true;
  report.tensors = {tensor};
  report.exact = 1;
  return report;
}

}  // namespace

TEST(Escaped, WhatHtmlWouldTakeForItsOwn) {
  EXPECT_EQ(html_escaped("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
}

TEST(Escaped, WhatIsNoTextBecomesAMark) {
  EXPECT_EQ(html_escaped("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(html_escaped(std::string("a\0z", 3)), "a\xEF\xBF\xBDz");
  EXPECT_EQ(html_escaped("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(html_escaped("\xC3\xA9\xF0\x9F\x8C\x8D"), "\xC3\xA9\xF0\x9F\x8C\x8D");
}

TEST(HtmlReport, NamesAreEscapedAndNothingIsFetched) {
  const std::string html = html_report({"<source>", "out", "a & b"}, report_of("<script>alert(1)</script>"), nullptr);
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;script&gt;"), HasSubstr("&lt;source&gt;"), HasSubstr("a &amp; b")));
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("http")), Not(HasSubstr("url("))));
}

TEST(HtmlReport, BehaviourHasItsChecksAndPlots) {
  BehaviourReport behaviour;
  Agreement agreement;
  agreement.expected = "source";
  agreement.thresholds = default_thresholds(Precision::float32);
  agreement.logits = LogitAgreement();
  agreement.layers = {{0, 0, 0}, {1, 0.5, 2}};
  judge(agreement);
  behaviour.agreements = {agreement};
  const std::string html = html_report({"source", "out", ""}, report_of("w"), &behaviour);
  EXPECT_THAT(html, AllOf(HasSubstr("diverge from layer 1"), HasSubstr("largest layer error"), HasSubstr("dot bad"),
                          HasSubstr("prefers-color-scheme: dark")));
}

TEST(LineChart, ZeroAndInfinityStayInside) {
  const std::string svg = line_chart("x", {{"a", 0, 0.0}, {"b", 1, INFINITY}, {"c", 2, 1e-3}}, 0.1);
  EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}
