// What a client that comes at the end finds.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "ledger.h"
#include "sim_client.h"
#include "world.h"

namespace courier::sim {

// What is wrong with the retained messages that `world` gives a new subscriber. `all`: none may be missing.
std::vector<std::string> retained_faults(World& world, const Ledger& ledger,
                                         const std::deque<SimClient>& clients, bool all);

}  // namespace courier::sim
