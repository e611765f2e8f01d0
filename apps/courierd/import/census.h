// What is in a node's store, counted, and a digest of each of its tables: so that two stores can be compared,
// and people told what they hold.
//
// Reads every row. Waits.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/rocksdb/inspection.h"
#include "store/state_store.h"

namespace courier::courierd {

struct Census {
  uint64_t sessions = 0;
  uint64_t wills = 0;       // of sessions whose will is still to go out, or not to
  uint64_t unreleased = 0;  // packet ids of publishers' QoS 2 messages that were taken and not released
  uint64_t subscriptions = 0;
  uint64_t groups = 0, group_members = 0;
  uint64_t queued_qos1 = 0, queued_qos2 = 0, queued_bytes = 0;  // for sessions
  uint64_t under_way = 0;                                       // of these, those that may have been sent
  uint64_t group_queued_qos1 = 0, group_queued_qos2 = 0, group_queued_bytes = 0;
  uint64_t retained = 0, retained_bytes = 0;
  std::array<std::string, store::kTableCount + 1> digests;  // by Table, then of the shared messages

  bool operator==(const Census&) const = default;
};

// Of the tables as they would be with `changes` written over them.
Result<Census> census_of(const store::Inspection& store, const std::vector<store::StateBatch>& changes = {});

// "the table of sessions": the first in which two that are to be alike differ; empty: in none.
std::string difference(const Census& one, const Census& other);

// Of all of it: the same for two that are alike, and only for them.
std::string digest_of(const Census& census);

// Two columns side by side, a line a number.
std::string side_by_side(const Census& source, const Census& result);

}  // namespace courier::courierd
