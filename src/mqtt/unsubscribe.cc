// UNSUBSCRIBE, section 3.10.
#include "mqtt/codec.h"

namespace courier::mqtt {

void decode(Reader& in, const DecodeContext& context, Unsubscribe& packet) {
  packet.packet_id = read_packet_id(in);
  if (context.version == Version::v5) {
    packet.user_properties = std::move(read_properties(in, PropertyHost::unsubscribe).user_properties);
  }
  in.require(!in.empty(), ReasonCode::protocol_error, "an UNSUBSCRIBE without topic filters",
             "MQTT-3.10.3-2");
  while (!in.empty()) {
    const std::string_view filter = in.string();  // [MQTT-3.10.3-1]
    in.require(!filter.empty(), ReasonCode::malformed_packet, "a topic filter is empty", "MQTT-4.7.3-1");
    if (!in.failed()) packet.filters.push_back(filter);
  }
}

bool encode(Writer& out, const EncodeContext& context, const Unsubscribe& packet) {
  CHECK(packet.packet_id && !packet.filters.empty());
  out.two_bytes(packet.packet_id.value);
  bool fits = true;
  if (context.version == Version::v5) {
    PropertyWriter properties(out);
    properties.put(packet.user_properties);
    fits = properties.close();
  }
  for (const std::string_view filter : packet.filters) out.string(filter);
  return fits;
}

}  // namespace courier::mqtt
