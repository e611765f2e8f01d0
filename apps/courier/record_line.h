// A record of the log as one line, for `courier inspect DATA_DIR log`. Payloads are shown by size, never by
// content.
#pragma once

#include <string>

#include "record/record.h"

namespace courier::cli {

// Sixteen hexadecimal digits, as the REST API writes session ids.
std::string session_text(SessionId session);

std::string record_name(const record::Record& record);   // "PUBLISH"
std::string record_facts(const record::Record& record);  // "topic=orders/1 qos=1 payload=120B"

}  // namespace courier::cli
