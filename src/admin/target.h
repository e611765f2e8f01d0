// The request target of an HTTP request: percent-decoding and query parameters. Input is hostile. Pure.
//
// Segments of the path are cut at '/' before they are decoded, so that a client id may hold an encoded slash
// (RFC 3986, section 2.2). What decodes to a zero byte is refused: no client id has one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace courier::admin {

// "+" is a plus sign in paths and a space in queries. errc::bad_request.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Everything but letters, digits, '-', '.', '_', '~'; and "." and ".." entirely, which would be removed on
// the way.
std::string percent_encode(std::string_view text);

class Query {
 public:
  // errc::bad_request: also for a parameter that is given twice.
  static Result<Query> parse(std::string_view text);
  std::optional<std::string> find(std::string_view name) const;
  // The first parameter that is none of these. A misspelt filter must not show everything.
  std::optional<std::string> stranger(std::initializer_list<std::string_view> known) const;

 private:
  std::vector<std::pair<std::string, std::string>> parameters_;
};

struct Target {
  std::vector<std::string> segments;  // decoded; "/v1/clients/a%2Fb" has three
  Query query;
};
Result<Target> parse_target(std::string_view text);

}  // namespace courier::admin
