// Reads the log from etcd by ranges: at a start, and when a watch cannot go on. Functions that wait for their
// answers; for any thread but the engine's.
//
// What is read is the log as of one revision, however long it takes and whatever is truncated meanwhile.
//
// A reader that has everything up to a revision can tell that nothing behind it is missing, because of what
// truncation leaves (truncator.h): of every epoch the newest piece that it may delete stays; only where that
// goes too does `trimmed` say up to where. So there is a gap exactly if `trimmed` is ahead of the reader, or
// an epoch's first piece is not number 0 and ahead of the reader.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/result.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/keys.h"
#include "cluster/etcd/piece.h"

namespace courier::cluster::etcd {

// Which pieces there are, by epoch and number.
struct Listing {
  struct Place {
    uint64_t seq = 0;
    uint64_t revision = 0;
  };
  uint64_t revision = 0;  // as of
  uint64_t trimmed = 0;
  std::map<NodeEpoch, std::vector<Place>> epochs;
};
Result<Listing> list_log(Client& client, const Keys& keys, int64_t patience_ms);

// Whether something is missing for a reader that has everything up to `cursor`. Errors:
// errc::snapshot_needed, behind.
Result<void> check_gap(const Listing& listing, uint64_t cursor, const Keys& keys);

// Everything after `cursor`, in order; gives the revision up to which that is all. `assembly` is told the
// open pieces up to `cursor` first, if `fresh`. Errors also of `fold`.
Result<uint64_t> read_log(Client& client, const Keys& keys, uint64_t cursor, bool fresh, Assembly& assembly,
                          int64_t patience_ms, const std::function<Result<void>(Arrival&&)>& fold);

}  // namespace courier::cluster::etcd
