// The files that go along with the weights: tokenizer, processor, remote code, chat templates, licences.
//
// Carried, by the name's form (case does not matter) and for both targets:
//   *.json *.jsonl *.py *.txt *.jinja *.model *.spm *.tiktoken, tokenizer* vocab* merges* chat_template*,
//   LICENSE* LICENCE* NOTICE* COPYING* *POLICY*
//   and the folders chat_template, chat_templates and additional_chat_templates.
// For mlx-vlm also other folders that hold nothing but such files (encoder_config, 1_Pooling), as its converter copies
// folders: at most 4 deep and 1,000 files. A folder with anything else in it is left out whole.
// Never carried: hidden files, config.json and README.md (made anew), *.index.json, weights in any format, adapters,
// the state of a training run, folders of other formats (original, onnx, openvino), and what describes the source's
// quantization (hf_quant_config.json, quantize_config.json), which a loader would believe.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "pippin/error.h"

namespace pippin {

struct SideFiles {
  std::vector<std::filesystem::path> files;  // relative to the source, sorted
  std::vector<std::string> warnings;         // folders with weights that are left out, names that differ in case only
};

// Whether a file of this name is carried.
bool is_side_file(std::string_view name);

// Whether the name alone says that a model is meant: tokenizer*, generation_config.json, LICENSE*, but not notes.txt.
bool is_known_side_file(std::string_view name);

// Lists what will be carried; reads no content but that of small files. A broken link or a Git LFS pointer among them
// is an error: the download is not complete.
Result<SideFiles> find_side_files(const std::filesystem::path& source, std::string_view target);

// Copies them byte for byte into `folder`.
Status copy_side_files(const std::filesystem::path& source, const SideFiles& side_files,
                       const std::filesystem::path& folder);

// What a user of the output will miss: no tokenizer, or no processor although config.json has a vision or audio part.
std::vector<std::string> missing_side_files(const SideFiles& side_files, const nlohmann::ordered_json& config,
                                            std::string_view target);

}  // namespace pippin
