// One etcd server, which all brokers of a program share: each has a cluster of its own in it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace courier::scenario {

// Started when first asked for; ends with the program.
uint16_t etcd_port();

// For files whose disk is not tested, as in a cluster: in memory where there is room.
std::filesystem::path folder_in_memory();

}  // namespace courier::scenario
