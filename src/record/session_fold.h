// What records do to one session. Deterministic: reads nothing but its arguments.
//
// Each function returns false when the record is void for this session (an older attach position, a message
// that is settled already) and then changes nothing. Owned by the session's shard.
#pragma once

#include <memory>

#include "record/record.h"
#include "session/session.h"

namespace courier::record {

// A message for one session, as the directory's fold found it.
struct Incoming {
  Position position;
  mqtt::MessagePtr message;
  mqtt::Qos qos{};  // ≥ 1
  bool retain = false;
  bool sole = false;
  std::unique_ptr<session::Entry::Extras> extras;
};

// A session that begins with this ATTACH, which resumes none. `node`: whose record it is.
void begin(session::Session& session, const Attach& attach, Position position, uint16_t hash, NodeEpoch node);
// A stored session that goes on.
void resume(session::Session& session, const Attach& attach, Position position, NodeEpoch node);

// Returns the sequence.
uint64_t receive(session::Session& session, Incoming incoming);

// The session stays; whether it ends is the caller's to do (Detach::ends_session).
bool fold(session::Session& session, const Detach& detach, WallMs clock);
bool fold(session::Session& session, const Acked& acked);
bool fold(session::Session& session, const Sent& sent);
bool fold(session::Session& session, const Received& received);
bool fold(session::Session& session, const Completed& completed);
bool fold(session::Session& session, const Qos2In& taken);
bool fold(session::Session& session, const Released& released);
bool fold(session::Session& session, const Dropped& dropped);
bool fold(session::Session& session, const Expired& expired);

// A SUBSCRIBE left these to come.
void subscribed(session::Session& session, std::vector<session::RetainedWalk> walks);
// `left`: what is left of the walk, or nothing.
bool fold(session::Session& session, const RetainedNext& record, std::vector<session::RetainedWalk> left);

// Its will was published.
bool will_fired(session::Session& session, Position attach);
// A shared group takes a message back.
bool withdraw(session::Session& session, session::GroupOrigin origin);
// The run in which it was connected is over.
void node_down(session::Session& session, WallMs last_clock);

}  // namespace courier::record
