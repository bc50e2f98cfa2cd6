// A verification as one HTML page with plots, for people. It needs no network and no script.
#pragma once

#include <string>

#include "pippin/behaviour.h"
#include "pippin/verify.h"

namespace pippin {

struct HtmlTitles {
  std::string source;
  std::string converted;
  std::string skipped;  // why there is no behaviour, where there is none
};

// behaviour: may be null. Every name and text is escaped: they come from files. Well-formed as XML too.
std::string html_report(const HtmlTitles& titles, const VerifyReport& report, const BehaviourReport* behaviour);

}  // namespace pippin
