// Conversions of a repository of the Hugging Face Hub. The environment says where the Hub and the cache are, as in
// pippin/hub.h.
#pragma once

#include <functional>
#include <string>

#include "pippin/convert.h"
#include "pippin/hub.h"

namespace pippin {

struct RepoSource {
  std::string repo;  // "org/name"
  std::string revision = "main";
  bool keep = true;  // the source's files, in the cache
};

// plan_conversion() from config.json and the weights' headers alone: a few MB are transferred, whatever the size of the
// model. options.source is not used.
Result<ConvertReport> plan_repo_conversion(const ConvertOptions& options, const RepoSource& source,
                                           const DownloadHooks& hooks = {});

// Plans as above, so that a model that is not supported, tensors that are missing and a disk that is too small are told
// before the weights come. Then tensors are converted as their bytes arrive. One commit is used throughout, and every
// file's digest is right before the output takes its place. Interrupted, the next call with the same options goes on.
//
// With source.keep the files come into the cache. Without it no more than a window of them lies on the disk, in the
// output's unfinished folder: 256 MiB, or what blocks under way need; what an unfinished tensor needs is fetched again
// after an interruption. Files that the cache has are read from there.
//
// One of hooks.progress and `downloading` is called at a time: the first when all has arrived.
Result<ConvertReport> convert_repo(const ConvertOptions& options, const RepoSource& source,
                                   const ConvertHooks& hooks = {},
                                   const std::function<void(const DownloadProgress&)>& downloading = nullptr);

}  // namespace pippin
