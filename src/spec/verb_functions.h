// The functions behind the table of verbs, by kind.
#pragma once

#include "spec/weight_verbs.h"

namespace pippin::verbs {

// Names only.
Status drop(RuleContext& context);
Status keep(RuleContext& context);
Status rename(RuleContext& context);
Status replace(RuleContext& context);
Status copy(RuleContext& context);

// Layout.
Status stack(RuleContext& context);
Status unstack(RuleContext& context);
Status split(RuleContext& context);
Status concat(RuleContext& context);
Status transpose(RuleContext& context);
Status reshape(RuleContext& context);
Status slice(RuleContext& context);
Status repeat(RuleContext& context);
Status broadcast(RuleContext& context);
Status view(RuleContext& context);

// Values.
Status add(RuleContext& context);
Status multiply(RuleContext& context);
Status cast(RuleContext& context);
Status create(RuleContext& context);
Status normalise(RuleContext& context);
Status exponent(RuleContext& context);
Status dequantize_blocks(RuleContext& context);
Status mla_split(RuleContext& context);
Status divide(RuleContext& context);
Status maximum(RuleContext& context);
Status sigmoid(RuleContext& context);
Status square_root(RuleContext& context);

// Products and tables.
Status merge_lora(RuleContext& context);
Status weight_norm(RuleContext& context);
Status rotary_table(RuleContext& context);

// Packed weights.
Status dequantize(RuleContext& context);

// Control.
Status stop(RuleContext& context);
Status refuse(RuleContext& context);
Status warn(RuleContext& context);
Status include(RuleContext& context);

}  // namespace pippin::verbs
