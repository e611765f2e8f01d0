// What the next start of a stopped node would make of its store: its tables with the rest of its log folded
// over them, and nobody connected any more. As a start does it, by the broker's own fold; but nothing comes
// of it: no will goes out, no session ends, no limit is looked at. That is whose it is to act afterwards.
//
// Reads the store, and writes nothing. Waits.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/rocksdb/inspection.h"
#include "store/state_store.h"

namespace courier::courierd {

struct Recovered {
  std::vector<store::StateBatch> changes;  // over what the tables hold
  Position position;                       // of what says that the run is over, behind all that is in the log
};

// `now`: since when nobody is connected, if the log does not say. The same store and time give the same
// bytes.
Result<Recovered> recover(const store::Inspection& source, WallMs now);

}  // namespace courier::courierd
