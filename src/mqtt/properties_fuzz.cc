// Any bytes as properties: first as those of each packet, then as a block of forwarded ones, which when well
// formed must be built again, byte for byte, from what its readers say.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "mqtt/properties.h"
#include "mqtt/wire.h"

namespace courier::mqtt {
namespace {

void walk_everywhere(std::string_view bytes) {
  for (uint8_t host = 0; host <= 15; ++host) {
    if (host == 12 || host == 13) continue;  // PINGREQ and PINGRESP have none
    Reader in(bytes);
    PropertyWalk walk(in, static_cast<PropertyHost>(host));
    size_t total = 0;
    for (Property property; walk.next(property);) {
      CHECK(name(property.id) != "unknown" && !property.bytes.empty());
      total += property.bytes.size();
    }
    CHECK(total <= bytes.size());
  }
}

// The block's length in front, as it stands in a packet.
std::string with_length(std::string_view block) {
  std::string bytes;
  Writer writer(bytes);
  const size_t opened = writer.open_length();
  writer.raw(block);
  CHECK(writer.close_length(opened));
  return bytes;
}

void check_block(std::string_view block) {
  const std::string bytes = with_length(block);
  Reader in(bytes);
  PropertyWalk walk(in, PropertyHost::publish);
  ForwardedPropertiesBuilder builder;
  size_t user_property_count = 0;
  bool only_forwarded = true;
  for (Property property; walk.next(property);) {
    if (!is_forwarded(property.id)) {
      only_forwarded = false;
      continue;
    }
    if (property.id == PropertyId::payload_format_indicator) {
      CHECK(payload_format(block).value_or(property.number) == property.number);
      builder.payload_format(static_cast<uint8_t>(property.number));
    } else if (property.id == PropertyId::content_type) {
      CHECK(!only_forwarded || content_type(block) == property.text);
      builder.content_type(property.text);
    } else if (property.id == PropertyId::response_topic) {
      CHECK(!only_forwarded || response_topic(block) == property.text);
      builder.response_topic(property.text);
    } else if (property.id == PropertyId::correlation_data) {
      CHECK(!only_forwarded || correlation_data(block) == property.text);
      builder.correlation_data(property.text);
    } else {
      builder.user_property(property.text, property.value);
      ++user_property_count;
    }
  }
  const bool well_formed = !in.failed() && in.empty() && only_forwarded;
  CHECK(is_forwarded_block(block) == well_formed);
  if (!well_formed) return;
  CHECK(user_properties(block).size() == user_property_count);
  CHECK(builder.take() == block);
}

}  // namespace
}  // namespace courier::mqtt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::mqtt;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  walk_everywhere(bytes);
  check_block(bytes);
  // The readers must stand bytes that nobody checked.
  content_type(bytes);
  response_topic(bytes);
  correlation_data(bytes);
  user_properties(bytes);
  payload_format_valid(bytes, bytes);
  return 0;
}
