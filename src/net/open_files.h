// How many descriptors the process may have.
#pragma once

#include <cstdint>

namespace courier::net {

// Raises the soft limit of open files to the hard one; returns the limit now in force.
uint64_t raise_open_files();

}  // namespace courier::net
