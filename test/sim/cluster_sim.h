// One simulation of a cluster: some nodes over one simulated etcd, clients that go from one to another, and
// the same judge.
#pragma once

#include "sim.h"

namespace courier::sim {

// The same seed gives the same run, on any machine.
Verdict simulate_cluster(uint64_t seed, bool verbose = false);

}  // namespace courier::sim
