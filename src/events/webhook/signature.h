// Signatures of Standard Webhooks, by which a receiver knows who told it: HMAC-SHA256 of "ID.TIMESTAMP.BODY".
// Source: standardwebhooks.com, specification 1.0.0. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"

namespace courier::events::webhook {

// "whsec_" and base64 of 24 to 64 bytes, one on each line; empty lines and those that begin with # are passed
// over. Gives the bytes. Error: bad_options, with the line's number and never with its content.
Result<std::vector<std::string>> parse_secrets(std::string_view text);

// webhook-id, webhook-timestamp, and with secrets webhook-signature, one signature for each.
void sign(http::Headers& headers, const std::vector<std::string>& secrets, std::string_view id, WallMs now,
          std::string_view body);

}  // namespace courier::events::webhook
