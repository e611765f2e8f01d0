// One etcd server, which all brokers of a program share: each has a cluster of its own in it.
#pragma once

#include <cstdint>

namespace courier::scenario {

// Started when first asked for; ends with the program.
uint16_t etcd_port();

}  // namespace courier::scenario
