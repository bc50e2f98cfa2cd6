#include "pippin/hub.h"

#include "hub/cache_scan.h"
#include "hub/download.h"
#include "hub/hub_api.h"
#include "hub/repo_name.h"
#include "hub/settings.h"
#include "hub/upload.h"

namespace pippin {

Result<DownloadReport> download(const DownloadOptions& options, const DownloadHooks& hooks) {
  PIPPIN_TRY(HubSettings settings, settings_of(variable_of_process));
  HubSession session(std::move(settings), {hooks.cancelled});
  return download_with(session, options, hooks);
}

Result<UploadReport> upload(const UploadOptions& options, const UploadHooks& hooks) {
  PIPPIN_TRY(HubSettings settings, settings_of(variable_of_process));
  HubSession session(std::move(settings), {hooks.cancelled});
  return upload_with(session, options, hooks);
}

Status check_upload(const UploadOptions& options) {
  PIPPIN_TRY(HubSettings settings, settings_of(variable_of_process));
  HubSession session(std::move(settings));
  return check_upload_with(session, options);
}

bool is_repo_name(const std::string& text) {
  return looks_like_repo(text);
}

Result<HubIdentity> whoami() {
  PIPPIN_TRY(HubSettings settings, settings_of(variable_of_process));
  HubSession session(std::move(settings));
  PIPPIN_TRY(HubUser user, user_of_token(session));
  return HubIdentity{std::move(user.name), std::move(user.organisations), std::move(user.role),
                     session.settings().token_origin, session.settings().endpoint};
}

Result<CacheReport> list_cache() {
  PIPPIN_TRY(const HubSettings settings, settings_of(variable_of_process));
  return scan_cache(settings.cache);
}

Result<CacheRemoval> remove_from_cache(const std::vector<std::string>& repos) {
  PIPPIN_TRY(const HubSettings settings, settings_of(variable_of_process));
  return remove_repos(settings.cache, repos);
}

Result<CacheRemoval> remove_partial_downloads() {
  PIPPIN_TRY(const HubSettings settings, settings_of(variable_of_process));
  return remove_partials(settings.cache);
}

Result<CacheCheck> verify_cache(const std::vector<std::string>& repos, const DownloadHooks& hooks) {
  PIPPIN_TRY(const HubSettings settings, settings_of(variable_of_process));
  return check_cache(settings.cache, repos, hooks);
}

}  // namespace pippin
