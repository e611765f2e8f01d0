// The bytes of an event: a protobuf message, written and read field by field. Pure.
//
// A protobuf message may be written in pieces that are put one behind the other. So who knows what a client
// did writes that (FieldWriter), and who learns later where it stands in the log writes its id behind it; no
// one takes it apart for that. Source: protobuf's "Encoding".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "events/catalogue/catalogue.h"

namespace courier::events {

// Appends fields to `out`, which outlives it. Each as its shape says; a text, bytes or list that is empty is
// left out.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : out_(out) {}

  FieldWriter& text(Field field, std::string_view value);  // texts and bytes
  FieldWriter& number(Field field, uint64_t value);        // numbers and big ones, also 0
  FieldWriter& flag(Field field, bool value) { return number(field, value ? 1 : 0); }
  FieldWriter& more(Field field, std::string_view value);  // one more of a list of texts, also an empty one
  FieldWriter& pair(Field field, std::string_view name, std::string_view value);  // one more
  FieldWriter& number_list(Field field, std::span<const uint32_t> values);

 private:
  std::string& out_;
};

// One field as it stands in the bytes.
struct FieldValue {
  uint32_t number = 0;  // as in the bytes: may be unknown to the catalogue
  bool is_text = false;
  std::string_view text;  // of texts, bytes, and packed lists of numbers
  uint64_t value = 0;     // of flags and numbers
};

// Reads fields from the front. Of bytes that are no such message it yields what it could read, and then is
// not ok().
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}
  std::optional<FieldValue> next();  // nothing at the end, or after a fault
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// The first field of that kind; nothing if it is not there.
std::optional<FieldValue> find(std::string_view bytes, Field field);
// "" if it is not there.
std::string_view text_of(std::string_view bytes, Field field);

}  // namespace courier::events
