#include "net/websocket/http_head.h"

#include <algorithm>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "net/websocket/errc.h"
#include "net/websocket/limits.h"

namespace courier::net::websocket {

namespace http = boost::beast::http;

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <bool is_request>
Result<HttpHead> parse(std::string_view bytes) {
  http::parser<is_request, http::empty_body> parser;
  parser.header_limit(kHeadBytesMax);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error && error != http::error::need_more) return fail(errc::bad_request, error.message());
  if (!parser.is_header_done()) return fail(errc::bad_request, "its header is incomplete");
  // RFC 9112, 5.2: what one reads as a header of its own another joins to the one before.
  const std::string_view lines = bytes.substr(0, bytes.find("\r\n\r\n"));
  if (lines.find("\n ") != lines.npos || lines.find("\n\t") != lines.npos) {
    return fail(errc::bad_request, "a header goes on in the next line");
  }
  const auto& message = parser.get();
  HttpHead head;
  if constexpr (is_request) {
    head.method = message.method_string();
    head.target = message.target();
  } else {
    head.status = message.result_int();
    head.reason = message.reason();
  }
  head.http_1_1 = message.version() >= 11;
  for (const auto& field : message) head.fields.emplace_back(field.name_string(), field.value());
  return head;
}

}  // namespace

bool equal_without_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

size_t HttpHead::count(std::string_view name) const {
  return static_cast<size_t>(std::ranges::count_if(
      fields, [&](const auto& field) { return equal_without_case(field.first, name); }));
}

std::string_view HttpHead::value(std::string_view name) const {
  for (const auto& [key, text] : fields) {
    if (equal_without_case(key, name)) return text;
  }
  return {};
}

std::vector<std::string_view> HttpHead::list(std::string_view name) const {
  std::vector<std::string_view> elements;
  for (const auto& [key, text] : fields) {
    if (!equal_without_case(key, name)) continue;
    std::string_view rest = text;
    for (;;) {
      const size_t comma = rest.find(',');
      if (const auto element = trimmed(rest.substr(0, comma)); !element.empty()) elements.push_back(element);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return elements;
}

bool HttpHead::lists(std::string_view name, std::string_view element) const {
  return std::ranges::any_of(list(name), [&](std::string_view e) { return equal_without_case(e, element); });
}

bool HttpHead::has_body() const {
  const std::string_view length = value("Content-Length");
  return count("Transfer-Encoding") > 0 || length.find_first_not_of('0') != std::string_view::npos;
}

Result<HttpHead> parse_request_head(std::string_view head) {
  return parse<true>(head);
}

Result<HttpHead> parse_answer_head(std::string_view head) {
  return parse<false>(head);
}

}  // namespace courier::net::websocket
