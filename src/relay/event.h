// One event as it came from Kafka, protobuf or JSON, with its fields at hand.
//
// Borrows the message's value, which outlives it and stays where it is. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "events/catalogue/catalogue.h"
#include "kafka/group.h"

namespace courier::relay {

enum class Format : uint8_t { automatic, protobuf, json };

class Event {
 public:
  // Nothing: it is no event. `automatic` goes by the header content-type, and without one by the first byte.
  static std::optional<Event> read(const kafka::Message& message, Format format);

  std::string_view text(events::Field field) const { return values_[index(field)].text; }
  // A field's value as people write it: digits, true or false; of bytes their base64. Nothing of a field that
  // is not there, or is a list.
  void append_value(std::string& out, events::Field field) const;
  // The whole event; of JSON what came.
  void append_json(std::string& out) const;

 private:
  struct Value {
    bool is_there = false;
    std::string_view text;  // texts and bytes; of JSON also what stands for them there
    uint64_t number = 0;    // flags and numbers
  };
  explicit Event(std::string_view bytes) : bytes_(bytes) {}
  static size_t index(events::Field field) { return static_cast<size_t>(field); }
  bool read_protobuf();
  bool read_json();

  struct Parsed;  // JSON
  std::string_view bytes_;
  std::shared_ptr<const Parsed> parsed_;  // shared: so that an Event can be copied
  std::array<Value, events::kFieldCount + 1> values_{};
};

// Whether a template can name it: all but lists.
bool is_scalar(events::Shape shape);

}  // namespace courier::relay
