// What a request says of an event. Pure.
//
//   vernemq               one event: its body as vmq_webhooks words it, its hook in the header vernemq-hook
//   cloudevents           structured   one event, application/cloudevents+json
//                         binary       one event as JSON, what it is in headers ce-*
//                         batch        many, application/cloudevents-batch+json
//   otlp                  many, as spans of OpenTelemetry: spans.h
//
// The data of a CloudEvent is the event as json.h has it. Sources: the webhooks of VerneMQ's documentation;
// CloudEvents 1.0.2, its JSON format and its HTTP binding.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "events/outbox.h"
#include "http/client.h"

namespace courier::events::webhook {

enum class Profile : uint8_t { vernemq, cloudevents, otlp };
enum class Mode : uint8_t { structured, binary, batch };

// "on_publish"; "on_publish_m5" of a client of 5.0, where VerneMQ has such a twin. "": it has no such hook.
std::string_view hook_of(Kind kind, bool m5);

struct Worded {
  http::Headers headers;
  std::string body;
};

// Whether a request may have many events.
bool takes_many(Profile profile, Mode mode);
// One event, or as many as you like if it takes many. `source`: of CloudEvents.
Worded word(Profile profile, Mode mode, std::string_view source, std::span<const EventPtr> events);

// webhook-id: the event's id; of many, something that only the same ones have.
std::string id_of(std::span<const EventPtr> events);

}  // namespace courier::events::webhook
