// An event as JSON: one object on one line, fields by name, as protobuf's mapping to JSON has them (numbers
// of 64 bits are strings, bytes are standard base64), so that whoever has the schema can read it back. Pure.
#pragma once

#include <string>
#include <string_view>

namespace courier::events {

// Appends it to `out`, without a line end. Fields that the catalogue does not know are left out; so is what
// stands behind bytes that cannot be read.
void append_json(std::string& out, std::string_view event);

// Appends the text with its quotes. What is not UTF-8 becomes U+FFFD.
void append_json_text(std::string& out, std::string_view text);

}  // namespace courier::events
