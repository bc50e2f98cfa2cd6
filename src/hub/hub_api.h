// The Hub's questions and answers that pippin needs. Every error says what is missing or who may not, and the way out.
#pragma once

#include <string>
#include <vector>

#include "hub/hub_session.h"
#include "hub/listing.h"

namespace pippin {

// The commit that a branch, tag or commit of a repository is now.
Result<std::string> commit_of(HubSession& session, const std::string& repo, const std::string& revision);

// All files of a commit, sorted by name. Names differ; each stays inside its folder.
Result<std::vector<RepoFile>> files_of(HubSession& session, const std::string& repo, const std::string& commit);

// Mirrors hand on links that name the Hub itself: such a link, at this endpoint.
std::string at_endpoint(std::string url, const std::string& endpoint);

// Who the token belongs to. Asked once and rarely: the Hub limits it strictly.
Result<HubUser> user_of_token(HubSession& session);

}  // namespace pippin
