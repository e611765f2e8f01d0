// How many courierd a Broker is, and which of them a client meets: COURIER_NODES=3 makes every Broker three
// over etcd, otherwise it is one.
//
// All listen on the same ports, the first on 127.0.0.1, the second on 127.0.0.2 and so on, so a test need not
// know how many there are: each connection goes to the next node in turn, and a client that comes back under
// its id to another than it was at. So publisher and subscriber are at different nodes, and who owns a
// session's partition is often at neither.
//
// Two things are less in a cluster than at one node (docs/decisions/0018), and settled here, for all tests in
// one place: a message of QoS 0 reaches only who is known at its publisher's node, so before it is sent all
// nodes must have read what was acknowledged; and who says DISCONNECT must not be faster at the next node
// than the log.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace courier::scenario {

uint32_t node_count();
std::string node_address(uint32_t node);

// At these ports all nodes are to be had, from now on; their figures at the admin port.
void open_doors(const std::vector<uint16_t>& ports, uint16_t admin_port);
void close_doors(uint16_t admin_port);

// Whose turn it is. At a port that is no door: the first.
uint32_t next_node(uint16_t port, const std::string& client_id = {});

// A node has promised something to a client of this port that others need not know yet.
void promised_at(uint16_t port);
// Waits until all know all that was promised.
void settle_promises(uint16_t port);
// Waits until all that the nodes have begun is in the log, and all have read it.
void settle(uint16_t port);

}  // namespace courier::scenario

// For what a cluster does not promise: each use says why.
#define ONE_NODE(reason) \
  if (::courier::scenario::node_count() > 1) GTEST_SKIP() << "about one node: " << reason
