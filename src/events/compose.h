// A whole event of its pieces: what its record says, where that stands in the log, and what the record in
// front of it has to say. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "events/catalogue/catalogue.h"
#include "mqtt/message.h"
#include "record/record.h"

namespace courier::events {

// What an event takes from the record that it is about.
struct Subject {
  Position position;         // of that record; 0: it is about none
  mqtt::MessagePtr message;  // of a PUBLISH
  SessionId created;         // by an ATTACH
  // Takes it from a record, which stands at that position, before it is folded.
  static Subject of(const record::Record& record, Position position);
};

// `position`: of its own record.
std::string compose(const record::Event& event, Kind kind, Position position, WallMs clock,
                    const Subject& subject, bool payloads);
// One that never was in the log: the `number`-th of the run that is called so.
std::string compose_noted(Kind kind, std::string_view fields, std::string_view run, uint64_t number,
                          WallMs clock);

// How sessions are named in events, as everywhere that people see them: 16 hex digits.
std::string session_text(SessionId session);

// What a message says of itself: for events that have it at hand when they are written.
void put_message(std::string& fields, const mqtt::Message& message, bool payload);
// The first User Property called traceparent, if it may be one (W3C Trace Context, section 3.2.2); "" else.
std::string_view traceparent_of(const mqtt::Message& message);

}  // namespace courier::events
