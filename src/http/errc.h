// Why an HTTP request has no answer. An answer with a bad status is an answer.
#pragma once

#include <system_error>

namespace courier::http {

enum class errc {
  bad_url = 1,   // not http or https, or not a URL
  unreachable,   // no such host, or nobody who accepts the connection
  tls,           // the handshake failed, or the certificate is not to be trusted
  timeout,       // not whole in time
  too_large,     // the answer is larger than was allowed
  forbidden,     // its address is of the link, or a cloud's metadata
  bad_redirect,  // too many, or to another scheme
  bad_response,  // what came is not HTTP, or broke off
  cancelled,     // by cancel()
  no_memory,
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::http

template <>
struct std::is_error_code_enum<courier::http::errc> : std::true_type {};
