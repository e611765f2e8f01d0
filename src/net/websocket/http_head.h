// The head of an HTTP/1.1 request or answer, as far as an upgrade to WebSocket needs it.
//
// Boost.Beast parses; it is in http_head.cc only, because it compiles slowly. RFC 9112.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace courier::net::websocket {

struct HttpHead {
  std::string method, target;  // of a request
  unsigned status = 0;         // of an answer
  std::string reason;
  bool http_1_1 = false;
  std::vector<std::pair<std::string, std::string>> fields;

  // Names are compared without case.
  size_t count(std::string_view name) const;
  // Of the first field of that name; empty without one.
  std::string_view value(std::string_view name) const;
  // The elements of a comma-separated list, over all fields of that name, without the blanks around them.
  std::vector<std::string_view> list(std::string_view name) const;
  // Whether that list has `element`, compared without case.
  bool lists(std::string_view name, std::string_view element) const;
  // There is more behind the head: a body that was announced.
  bool has_body() const;
};

// ASCII only.
bool equal_without_case(std::string_view a, std::string_view b);

// `head` ends with the empty line. errc::bad_request, with the parser's words.
Result<HttpHead> parse_request_head(std::string_view head);
Result<HttpHead> parse_answer_head(std::string_view head);

}  // namespace courier::net::websocket
