// Addresses: their parts, how names stand in them, and which redirects may be followed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pippin/error.h"

namespace pippin {

// "https://host:443" of an http or https address, the port always there and the host in lower case; nothing for any
// other text, and for an address with a user's name in it.
std::optional<std::string> origin_of(const std::string& url);

// A name as one segment of a path: all but letters, digits and -._~ as %XX.
std::string encoded_segment(std::string_view text);
// A file's path: the same, with "/" kept.
std::string encoded_path(std::string_view text);

// Where a Location header leads from `url`. Refused (network): other schemes than http and https (file:// above all),
// and the way from https back to http.
Result<std::string> redirect_target(const std::string& url, const std::string& location);

// An address fit for a message: without its query, which may hold a signature.
std::string shown_url(const std::string& url);

}  // namespace pippin
