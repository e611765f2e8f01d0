// Keeps the log from being truncated under a node that is on its way into the cluster.
#pragma once

#include "base/result.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/keys.h"
#include "cluster/etcd/membership.h"

namespace courier::cluster::etcd {

// Says that this member has everything up to `cursor`, and needs what comes after it: for as long as its
// lease lives that stays, however long it takes until it has opened the log there. A member that has said
// nothing yet is waited for, too, but not for ever (truncator.h). Waits for etcd. Errors:
// errc::snapshot_needed, if the log does not reach back to there; fenced, unavailable, no_space, refused.
Result<void> hold_log(Client& client, const Keys& keys, const Membership& membership, uint64_t cursor,
                      int64_t patience_ms);

}  // namespace courier::cluster::etcd
