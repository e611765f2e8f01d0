// What password tests hash at: the shipped cost would take them minutes.
#pragma once

#include "auth/file/password_hash.h"

namespace courier::auth::file {

inline constexpr Cost kCheap{.memory_kib = 8, .passes = 1, .lanes = 1};

}  // namespace courier::auth::file
