// Who takes part in a simulation, and what they do.
#pragma once

#include <random>
#include <vector>

#include "sim_client.h"

namespace courier::sim {

struct Moods {
  bool deep = false;        // inboxes get deep
  bool timed = false;       // minutes pass: sessions and wills come to their end
  bool old = false;         // messages expire
  bool disorderly = false;  // some answer in any order
};
std::vector<SimClient::Role> cast(std::mt19937_64& random, const Moods& moods);

}  // namespace courier::sim
