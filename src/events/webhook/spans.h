// Events as spans of OpenTelemetry: who sent a message on its way sees in one picture when it was taken, sent
// to a client, and acknowledged. Pure.
//
// A message is in the trace that its publisher's traceparent names, if that says "sampled". Of the others,
// and of connections, a part is sampled, each in a trace of its own; a message's events all are, or none.
//
//   publish                      a producer's span, child of the publisher's
//   deliver, delivery_complete   children of the publish; they begin when the message arrived
//   connect                      a server's span
//
// Ids are made of what events have: a span that is told twice is the same twice. Sources: OTLP 1.0, its JSON
// encoding over HTTP; W3C Trace Context; OpenTelemetry's semantic conventions for messaging.
#pragma once

#include <span>
#include <string>

#include "events/outbox.h"

namespace courier::events::webhook {

// Whether the event becomes a span. `part`: 0 to 1, of those whose publisher does not say.
bool is_span(const Event& event, double part);

// The body of a request to /v1/traces. Of events that are spans.
std::string spans_json(std::span<const EventPtr> events);

}  // namespace courier::events::webhook
