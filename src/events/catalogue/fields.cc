#include "events/catalogue/fields.h"

#include "base/varint.h"

namespace courier::events {
namespace {

// How a value is written; the low three bits of a field's tag.
constexpr uint32_t kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5;
constexpr uint64_t kFieldNumberMax = (1u << 29) - 1;

void put_tag(std::string& out, Field field, uint32_t wire) {
  put_varint(out, static_cast<uint32_t>(field) << 3 | wire);
}

}  // namespace

FieldWriter& FieldWriter::text(Field field, std::string_view value) {
  return value.empty() ? *this : more(field, value);
}

FieldWriter& FieldWriter::more(Field field, std::string_view value) {
  put_tag(out_, field, kLengthDelimited);
  put_varint(out_, value.size());
  out_.append(value);
  return *this;
}

FieldWriter& FieldWriter::number(Field field, uint64_t value) {
  put_tag(out_, field, kVarint);
  put_varint(out_, value);
  return *this;
}

FieldWriter& FieldWriter::pair(Field field, std::string_view name, std::string_view value) {
  const auto size = [](std::string_view text) { return 1 + varint_size(text.size()) + text.size(); };
  put_tag(out_, field, kLengthDelimited);
  put_varint(out_, size(name) + size(value));
  for (const auto& [number, text] : {std::pair(1u, name), std::pair(2u, value)}) {
    put_varint(out_, number << 3 | kLengthDelimited);
    put_varint(out_, text.size());
    out_.append(text);
  }
  return *this;
}

FieldWriter& FieldWriter::number_list(Field field, std::span<const uint32_t> values) {
  if (values.empty()) return *this;
  size_t size = 0;
  for (const uint32_t each : values) size += varint_size(each);
  put_tag(out_, field, kLengthDelimited);
  put_varint(out_, size);
  for (const uint32_t each : values) put_varint(out_, each);
  return *this;
}

std::optional<FieldValue> FieldReader::next() {
  if (!ok_ || rest_.empty()) return std::nullopt;
  const auto fault = [&] {
    ok_ = false;
    return std::nullopt;
  };
  const auto tag = take_varint(rest_);
  if (!tag || *tag >> 3 == 0 || *tag >> 3 > kFieldNumberMax) return fault();
  FieldValue value;
  value.number = static_cast<uint32_t>(*tag >> 3);
  switch (*tag & 7) {
    case kVarint: {
      const auto number = take_varint(rest_);
      if (!number) return fault();
      value.value = *number;
      return value;
    }
    case kLengthDelimited: {
      const auto size = take_varint(rest_);
      if (!size || *size > rest_.size()) return fault();
      value.is_text = true;
      value.text = rest_.substr(0, *size);
      rest_.remove_prefix(*size);
      return value;
    }
    // No field of ours is written so; a newer version's may be.
    case kFixed64:
    case kFixed32: {
      const size_t size = (*tag & 7) == kFixed64 ? 8 : 4;
      if (rest_.size() < size) return fault();
      rest_.remove_prefix(size);
      value.number = 0;
      return value;
    }
    default:
      return fault();
  }
}

std::optional<FieldValue> find(std::string_view bytes, Field field) {
  FieldReader reader(bytes);
  while (auto value = reader.next()) {
    if (value->number == static_cast<uint32_t>(field)) return value;
  }
  return std::nullopt;
}

std::string_view text_of(std::string_view bytes, Field field) {
  const auto value = find(bytes, field);
  return value ? value->text : std::string_view();
}

}  // namespace courier::events
