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
};

// plan_conversion() from config.json and the weights' headers alone: a few MB are transferred, whatever the size of the
// model. options.source is not used.
Result<ConvertReport> plan_repo_conversion(const ConvertOptions& options, const RepoSource& source,
                                           const DownloadHooks& hooks = {});

// Plans as above, so that a model that is not supported, tensors that are missing and a disk that is too small are told
// before the weights come; downloads into the cache what the conversion reads and carries over; converts that. One
// commit is used throughout. Interrupted in the download, the next call goes on; in the conversion, options.resume
// does.
Result<ConvertReport> convert_repo(const ConvertOptions& options, const RepoSource& source,
                                   const ConvertHooks& hooks = {},
                                   const std::function<void(const DownloadProgress&)>& downloading = nullptr);

}  // namespace pippin
