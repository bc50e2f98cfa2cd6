// Uploads within a session; what include/pippin/hub.h offers is this with the settings of the process.
#pragma once

#include "hub/hub_session.h"
#include "pippin/hub.h"

namespace pippin {

Result<UploadReport> upload_with(HubSession& session, const UploadOptions& options, const UploadHooks& hooks);

Status check_upload_with(HubSession& session, const UploadOptions& options);

}  // namespace pippin
