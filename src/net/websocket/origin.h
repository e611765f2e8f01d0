// Which web pages may connect: the Origin that a browser sends, held against patterns of the settings.
//
//   app.example.com            any scheme and port
//   *.example.com              the same for every name below it, not for itself
//   https://app.example.com    this scheme, and its own port
//   https://*.example.com:8443
//   null                       what a file or a sandboxed frame sends
//   *                          anything
//
// Compared without case. Source of the form: RFC 6454, section 6.2.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace courier::net::websocket {

class OriginPattern {
 public:
  // errc::bad_setting.
  static Result<OriginPattern> parse(std::string_view text);
  bool matches(std::string_view origin) const;

 private:
  std::string scheme_, host_, port_;  // empty scheme or port: any
  bool below_ = false;                // names that end on "." + host_
  bool any_ = false;
};

}  // namespace courier::net::websocket
