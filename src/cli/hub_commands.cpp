#include <algorithm>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/download_progress.h"
#include "cli/json_output.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "pippin/hub.h"

namespace pippin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct DownloadArguments {
  DownloadOptions options;
  std::string local_dir;
  std::string progress = "auto";
};

void print_download(const DownloadReport& report) {
  size_t fetched = 0;
  for (const auto& file : report.files) fetched += file.fetched ? 1 : 0;
  fmt::print("{} at {} ({})\n", report.repo, report.revision, report.commit.substr(0, 12));
  fmt::print("files       {}, {}\n", report.files.size(), bytes_text(static_cast<double>(report.bytes)));
  if (fetched == 0) {
    fmt::print("downloaded  nothing: all were there\n");
  } else {
    const auto bytes = static_cast<double>(report.bytes_fetched);
    fmt::print("downloaded  {} files, {} in {:.1f} s, {}/s; every content checked\n", fetched, bytes_text(bytes),
               report.seconds, bytes_text(report.seconds > 0 ? bytes / report.seconds : 0));
  }
  fmt::print("they are in {}\n", report.folder.string());
}

Json json_of(const DownloadReport& report) {
  Json json = {{"repo", report.repo},         {"revision", report.revision},
               {"commit", report.commit},     {"folder", report.folder.string()},
               {"bytes", report.bytes},       {"bytes_fetched", report.bytes_fetched},
               {"seconds", report.seconds},   {"from_cache", report.from_cache},
               {"warnings", report.warnings}, {"files", Json::array()}};
  for (const auto& file : report.files)
    json["files"].push_back({{"name", file.name}, {"size", file.size}, {"fetched", file.fetched}});
  return json;
}

Result<int> run_download(DownloadArguments& a, const Common& common) {
  a.options.local_dir = a.local_dir;
  DownloadProgressLine progress(progress_style(a.progress, common.quiet || common.json));
  const auto report = download(a.options, progress.hooks(stop_on_signals()));
  progress.clear();
  if (!report) return tl::unexpected<Error>(report.error());
  if (common.json) {
    fmt::print("{}\n", json_text(json_of(*report)));
    return 0;
  }
  for (const auto& warning : report->warnings)
    fmt::print(stderr, "{} {}\n", yellow("warning:", Stream::error), warning);
  if (common.quiet)
    fmt::print("{}\n", report->folder.string());
  else
    print_download(*report);
  return 0;
}

Result<int> run_whoami(const Common& common) {
  PIPPIN_TRY(const HubIdentity user, whoami());
  if (common.json) {
    fmt::print("{}\n", json_text({{"name", user.name},
                                  {"organisations", user.organisations},
                                  {"role", user.role},
                                  {"token_origin", user.token_origin},
                                  {"endpoint", user.endpoint}}));
    return 0;
  }
  fmt::print("{}\n", user.name);
  if (common.quiet) return 0;
  if (!user.organisations.empty()) fmt::print("in          {}\n", fmt::join(user.organisations, ", "));
  fmt::print("token       of {}{}{}\n", user.token_origin, user.role.empty() ? "" : ", may ", user.role);
  fmt::print("at          {}\n", user.endpoint);
  return 0;
}

struct CacheArguments {
  std::vector<std::string> repos;
  bool partial = false;
  bool yes = false;
  CLI::App* list = nullptr;
  CLI::App* remove = nullptr;
  CLI::App* verify = nullptr;
};

std::string day_of(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local{};
  if (seconds <= 0 || localtime_r(&time, &local) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02}", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday);
}

Json json_of(const CachedRepo& repo) {
  Json revisions = Json::array();
  for (const auto& one : repo.revisions)
    revisions.push_back({{"commit", one.commit}, {"refs", one.refs}, {"files", one.files}, {"bytes", one.bytes}});
  return {{"repo", repo.repo},           {"folder", repo.folder.string()},
          {"bytes", repo.bytes},         {"partial_bytes", repo.partial_bytes},
          {"last_used", repo.last_used}, {"revisions", std::move(revisions)}};
}

Result<int> run_list(const Common& common) {
  PIPPIN_TRY(const CacheReport report, list_cache());
  if (common.json) {
    Json json = {{"cache", report.cache.string()}, {"repos", Json::array()}};
    for (const auto& repo : report.repos) json["repos"].push_back(json_of(repo));
    fmt::print("{}\n", json_text(json));
    return 0;
  }
  uint64_t bytes = 0;
  uint64_t partial = 0;
  for (const auto& repo : report.repos) {
    bytes += repo.bytes;
    partial += repo.partial_bytes;
    std::vector<std::string> names;
    for (const auto& one : repo.revisions) {
      if (one.refs.empty()) names.push_back(one.commit.substr(0, 12));
      names.insert(names.end(), one.refs.begin(), one.refs.end());
    }
    fmt::print("{:>9}  {}  {:<48} {}{}\n", bytes_text(static_cast<double>(repo.bytes)), day_of(repo.last_used),
               repo.repo, fmt::join(names, ", "), repo.partial_bytes > 0 ? "  (broken off)" : "");
  }
  if (common.quiet) return 0;
  fmt::print("{} models, {} in {}\n", report.repos.size(), bytes_text(static_cast<double>(bytes)),
             report.cache.string());
  if (partial > 0) {
    fmt::print("{} of broken-off downloads; pippin cache rm --partial removes them\n",
               bytes_text(static_cast<double>(partial)));
  }
  return 0;
}

// Asks on a terminal; elsewhere --yes is needed.
Status confirm(const CacheArguments& a) {
  if (a.yes) return {};
  if (!is_terminal(Stream::error)) {
    return fail(ErrorTag::usage, "removing is confirmed", "there is nobody to ask", "add --yes");
  }
  fmt::print(stderr, "Remove {} from the cache? [y/N] ", fmt::join(a.repos, ", "));
  const int answer = std::getchar();
  if (answer == 'y' || answer == 'Y') return {};
  return fail(ErrorTag::interrupted, "", "nothing was removed");
}

Result<int> run_remove(const CacheArguments& a, const Common& common) {
  if (a.repos.empty() && !a.partial)
    return fail(ErrorTag::usage, "something to remove is named", "nothing was", "pippin cache rm ORG/NAME");
  CacheRemoval removal;
  if (!a.repos.empty()) {
    PIPPIN_CHECK(confirm(a));
    PIPPIN_TRY(removal, remove_from_cache(a.repos));
  }
  if (a.partial) {
    PIPPIN_TRY(const CacheRemoval partials, remove_partial_downloads());
    removal.bytes += partials.bytes;
    removal.removed.insert(removal.removed.end(), partials.removed.begin(), partials.removed.end());
  }
  if (common.json) {
    fmt::print("{}\n", json_text({{"bytes", removal.bytes}, {"removed", removal.removed}}));
  } else if (!common.quiet) {
    for (const auto& one : removal.removed) fmt::print("removed {}\n", one);
    fmt::print("{} freed\n", bytes_text(static_cast<double>(removal.bytes)));
  }
  return 0;
}

Result<int> run_verify_cache(const CacheArguments& a, const Common& common) {
  DownloadProgressLine progress(progress_style("auto", common.quiet || common.json), "checking");
  const auto check = verify_cache(a.repos, progress.hooks(stop_on_signals()));
  progress.clear();
  if (!check) return tl::unexpected<Error>(check.error());
  if (common.json) {
    Json json = {{"blobs", check->blobs}, {"bytes", check->bytes}, {"faults", Json::array()}};
    for (const auto& fault : check->faults)
      json["faults"].push_back({{"repo", fault.repo}, {"file", fault.file}, {"what", fault.what}});
    fmt::print("{}\n", json_text(json));
  } else if (!common.quiet) {
    for (const auto& fault : check->faults) {
      fmt::print("{} {}: {} {}\n", red("corrupt:", Stream::out), fault.repo, fault.file, fault.what);
    }
    fmt::print("{} contents, {} read; {} faults\n", check->blobs, bytes_text(static_cast<double>(check->bytes)),
               check->faults.size());
    if (!check->faults.empty()) fmt::print("remove the repository (pippin cache rm) and download it again\n");
  }
  return check->faults.empty() ? 0 : 4;
}

}  // namespace

Run add_download(CLI::App& app, const std::shared_ptr<Common>& common) {
  CLI::App& command = *app.add_subcommand("download", "Download a model from the Hugging Face Hub");
  auto a = std::make_shared<DownloadArguments>();
  command.add_option("repo", a->options.repo, "Repository: org/name")->required()->type_name("REPO");
  command.add_option("files", a->options.files, "Files by their exact names [all]")->type_name("FILES");
  command.add_option("--revision", a->options.revision, "Branch, tag or commit")->capture_default_str();
  command.add_option("--include", a->options.include, "PATTERN of files to take; may be given several times")
      ->allow_extra_args(false);
  command.add_option("--exclude", a->options.exclude, "PATTERN of files to leave; may be given several times")
      ->allow_extra_args(false);
  command.add_option("--local-dir", a->local_dir, "Put the files into this folder, not into the cache");
  command.add_option("--connections", a->options.connections, "How many at the same time")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  add_progress_option(command, a->progress);
  add_common_flags(command, common);
  return [a, common] { return run_download(*a, *common); };
}

Run add_whoami(CLI::App& app, const std::shared_ptr<Common>& common) {
  CLI::App& command = *app.add_subcommand("whoami", "Tell whose Hugging Face token is used");
  add_common_flags(command, common);
  return [common] { return run_whoami(*common); };
}

Run add_cache(CLI::App& app, const std::shared_ptr<Common>& common) {
  CLI::App& command = *app.add_subcommand("cache", "List, remove and check downloaded models");
  command.require_subcommand(1);
  auto a = std::make_shared<CacheArguments>();
  a->list = command.add_subcommand("ls", "List the models in the cache");
  a->remove = command.add_subcommand("rm", "Remove models from the cache");
  a->remove->add_option("repos", a->repos, "Repositories: org/name")->type_name("REPO");
  a->remove->add_flag("--partial", a->partial, "Remove what broken-off downloads left");
  a->remove->add_flag("--yes", a->yes, "Do not ask");
  a->verify = command.add_subcommand("verify", "Compare the content of every file with its digest");
  a->verify->add_option("repos", a->repos, "Repositories: org/name [all]")->type_name("REPO");
  for (CLI::App* inner : {a->list, a->remove, a->verify}) add_common_flags(*inner, common);
  return [a, common]() -> Result<int> {
    if (a->list->parsed()) return run_list(*common);
    if (a->remove->parsed()) return run_remove(*a, *common);
    return run_verify_cache(*a, *common);
  };
}

}  // namespace pippin::cli
