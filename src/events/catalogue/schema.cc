#include "events/catalogue/schema.h"

#include <fmt/format.h>

#include "events/catalogue/catalogue.h"

namespace courier::events {
namespace {

std::string_view protobuf_type(Shape shape) {
  switch (shape) {
    case Shape::text:
      return "string";
    case Shape::bytes:
      return "bytes";
    case Shape::flag:
      return "optional bool";
    case Shape::number:
      return "optional uint32";
    case Shape::big:
      return "optional uint64";
    case Shape::texts:
      return "repeated string";
    case Shape::numbers:
      return "repeated uint32";
    case Shape::pairs:
      return "repeated Property";
  }
  return "";
}

}  // namespace

std::string protobuf_schema() {
  std::string out =
      "// What Courier's events say. `courier events schema` prints it; docs/operations/events.md explains "
      "it.\n"
      "syntax = \"proto3\";\n\npackage courier.events.v1;\n\n"
      "message Property {\n  string name = 1;\n  string value = 2;\n}\n\nmessage Event {\n";
  for (const FieldInfo& each : fields()) {
    out += fmt::format("  // {}\n  {} {} = {};\n", each.says, protobuf_type(each.shape), each.name,
                       static_cast<unsigned>(each.field));
  }
  return out + "}\n";
}

std::string markdown_tables() {
  std::string out = "| Kind | What happened | Told | Fields |\n|---|---|---|---|\n";
  for (const KindInfo& each : kinds()) {
    std::string names;
    for (const Field field : each.fields) {
      names += fmt::format("{}`{}`", names.empty() ? "" : " ", info(field).name);
    }
    out += fmt::format("| `{}` | {} | {} | {} |\n", each.name, each.says,
                       each.durable ? "at least once" : "best effort", names);
  }
  out += "\n| Field | Protobuf | What it says |\n|---|---|---|\n";
  for (const FieldInfo& each : fields()) {
    out += fmt::format("| `{}` | {} {} | {} |\n", each.name, static_cast<unsigned>(each.field),
                       protobuf_type(each.shape), each.says);
  }
  return out;
}

}  // namespace courier::events
