// What the tests' plain listener speaks: COURIER_TRANSPORT = mqtt (the default), mqtts, ws or wss. So that
// every scenario can be played over each of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/transport.h"

namespace courier::scenario {

std::string transport_name();
// The lines of the listener that speak of it; makes the certificates that they need.
std::string transport_toml();
// Clients that connect to this port speak it.
void speaks_transport(uint16_t port);
// The client's end for a connection to the port; null: plain MQTT.
std::unique_ptr<net::Transport> transport_to(uint16_t port);

}  // namespace courier::scenario
