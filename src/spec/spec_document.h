// Spec files as documents: TOML read with the order of its keys, and one merged over another (`extends`).
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

// Parses TOML; keys keep the order of the file. where: the file's name for messages.
Result<nlohmann::ordered_json> parse_toml(std::string_view text, const std::string& where);

// Writes out the alternatives in the keys of the module tables ("{q_proj|k_proj}"), so that a spec that extends this
// one can replace each by its name.
void expand_module_keys(nlohmann::ordered_json& document);

// `child` over `base`: tables merge key by key, lists of rules ([[weights]], [[quantize]], [[config_edits]],
// keep_dtype, uncounted) are joined (base first), everything else is replaced. child["reset"] lists paths ("weights",
// "modules.mlp") that are taken out of base before; it must name what is there. model_type, title, notes, extends are
// never inherited, and [decoder] only where the child has one, be it empty.
Result<nlohmann::ordered_json> merge_documents(nlohmann::ordered_json base, const nlohmann::ordered_json& child,
                                               const std::string& where);

}  // namespace pippin
