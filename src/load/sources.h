// The addresses that clients connect from. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "net/socket_address.h"

namespace courier::load {

// Each is an address or a range: "127.0.0.2-127.0.0.40". errc::invalid_scenario.
Result<std::vector<net::SocketAddress>> parse_sources(const std::vector<std::string>& texts);

}  // namespace courier::load
