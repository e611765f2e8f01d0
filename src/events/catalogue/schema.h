// The catalogue for those who read events: as a protobuf schema, and as the tables of
// docs/operations/events.md. `courier events schema` prints the first; a test holds both files in the
// repository to it.
#pragma once

#include <string>

namespace courier::events {

std::string protobuf_schema();  // of `courier.events.v1.Event`, proto3
std::string markdown_tables();  // kinds and fields

}  // namespace courier::events
