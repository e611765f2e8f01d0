// The way from HTTP to WebSocket, both sides: RFC 6455, section 4. Functions of their arguments.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/websocket/options.h"

namespace courier::net::websocket {

// Server: answers the request whose head this is, with 101 or with a status and a line that says what this
// port is for. Errors: those of the upgrade.
Result<void> answer_upgrade(std::string_view head, const ServerOptions& options, std::string& reply);
// The answer to somebody whose head grew too large.
Result<void> refuse_large_head(std::string& reply);
// The answer to bytes that cannot begin an HTTP request; nothing to those who would not understand it.
Result<void> refuse_no_http(std::string_view bytes, std::string& reply);

// Client: the request. `key` is 16 random bytes in base64.
std::string upgrade_request(const ClientOptions& options, std::string_view key);
// Whether the answer is the 101 to it; `behind` is what else came, perhaps the beginning of an error's text.
// errc::upgrade_refused, bad_answer.
Result<void> check_answer(std::string_view head, std::string_view behind, const ClientOptions& options,
                          std::string_view key);

// base64 of the SHA-1 of the key and a constant.
std::string accept_value(std::string_view key);
// 16 random bytes in base64.
std::string random_key();

// The peer's text, short and printable.
std::string quoted(std::string_view text);

}  // namespace courier::net::websocket
