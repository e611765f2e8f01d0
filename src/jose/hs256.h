// JSON Web Tokens signed with a shared key: JWS in its compact form, algorithm HS256.
// Source: RFC 7515 (section 3.1, appendix A.1), RFC 7519.
#pragma once

#include <string>
#include <string_view>

namespace courier::jose {

// base64url without padding: RFC 7515, section 2.
std::string base64url(std::string_view bytes);

// The token for `claims`, a JSON object as text. `key` as it is, not decoded.
std::string sign_hs256(std::string_view claims, std::string_view key);

}  // namespace courier::jose
