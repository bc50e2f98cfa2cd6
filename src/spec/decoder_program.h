// How a model computes its logits: a program of operations on arrays, made from a spec's [decoder] and a config.
// Plain data; the runtime executes it.
#pragma once

#include <string>
#include <vector>

#include "pippin/error.h"
#include "spec/spec_scope.h"

namespace pippin {

// One operation. Its value is an array (a few give several, which only their own kind reads).
struct DecoderNode {
  std::string op;           // of decoder_operations()
  std::vector<int> inputs;  // earlier nodes, in the order of the operation's arrays; -1: left out
  Value attributes;         // an object with all other arguments; modules with their whole path
  std::string step;         // the key of the spec that it is the value of: "attended"; empty inside of expressions
  int layer = -1;           // -1 before and after the layers
};

// Node 0 stands for the token ids, int32 [batch, length]; it has the op "ids".
struct DecoderProgram {
  std::vector<DecoderNode> nodes;  // inputs stand before their users
  int logits = -1;                 // the node of the result, [batch, length, vocabulary]
  int layers = 0;
};

// Whether the spec says how its model runs.
bool has_decoder(const Spec& spec);

// That it does not (unsupported).
Error no_decoder(const std::string& spec);

// The program of the scope's spec. The scope must look at the converted model's tensors if the spec asks them.
// Errors: unsupported where the spec has no [decoder]; bad_spec, bad_config.
Result<DecoderProgram> make_decoder_program(const SpecScope& scope);

}  // namespace pippin
