// SUBSCRIBE, section 3.8.
#include "mqtt/codec.h"

namespace courier::mqtt {
namespace {

enum OptionBits : uint8_t {
  kQos = 0x03,
  kNoLocal = 0x04,
  kRetainAsPublished = 0x08,
  kRetainHandling = 0x30,
  kReserved = 0xC0,
  kAllButQos = 0xFC,
  // Extensions of 3.1.1, see DecodeLimits.
  kNonPersistent = 0x04,
  kNoRetry = 0x08,
};
constexpr int kRetainHandlingShift = 4;

SubscriptionOptions read_options(Reader& in, const DecodeContext& context) {
  SubscriptionOptions options;
  const uint8_t bits = in.byte();
  options.qos = static_cast<Qos>(bits & kQos);
  if (context.version == Version::v5) {
    in.require((bits & kReserved) == 0, ReasonCode::malformed_packet,
               "reserved bits of subscription options are set", "MQTT-3.8.3-5");
    in.require((bits & kQos) != kQos, ReasonCode::protocol_error, "the requested QoS is 3");
    in.require((bits & kRetainHandling) != kRetainHandling, ReasonCode::protocol_error,
               "retain handling is 3");
    options.no_local = (bits & kNoLocal) != 0;
    options.retain_as_published = (bits & kRetainAsPublished) != 0;
    options.retain_handling = static_cast<RetainHandling>((bits & kRetainHandling) >> kRetainHandlingShift);
    return options;
  }
  uint8_t reserved = kAllButQos;
  if (context.v3_1_1_extensions && context.version == Version::v3_1_1) {
    options.non_persistent = (bits & kNonPersistent) != 0;
    options.no_retry = (bits & kNoRetry) != 0;
    reserved &= static_cast<uint8_t>(~(kNonPersistent | kNoRetry));
  }
  in.require((bits & reserved) == 0 && (bits & kQos) != kQos, ReasonCode::malformed_packet,
             "the requested QoS is 3 or its reserved bits are set", "MQTT-3.8.3-4 of 3.1.1");
  return options;
}

}  // namespace

void decode(Reader& in, const DecodeContext& context, Subscribe& packet) {
  packet.packet_id = read_packet_id(in);
  if (context.version == Version::v5) {
    PropertySet set = read_properties(in, PropertyHost::subscribe);
    packet.subscription_identifier = set.subscription_identifier;
    packet.user_properties = std::move(set.user_properties);
  }
  in.require(!in.empty(), ReasonCode::protocol_error, "a SUBSCRIBE without topic filters", "MQTT-3.8.3-2");
  while (!in.empty()) {
    Subscribe::Entry entry;
    entry.filter = in.string();  // [MQTT-3.8.3-1]
    in.require(!entry.filter.empty(), ReasonCode::malformed_packet, "a topic filter is empty",
               "MQTT-4.7.3-1");
    entry.options = read_options(in, context);
    in.require(!entry.options.no_local || !is_shared(entry.filter), ReasonCode::protocol_error,
               "No Local on a shared subscription", "MQTT-3.8.3-4");
    if (!in.failed()) packet.entries.push_back(entry);
  }
}

bool encode(Writer& out, const EncodeContext& context, const Subscribe& packet) {
  CHECK(packet.packet_id && !packet.entries.empty());
  const bool v5 = context.version == Version::v5;
  out.two_bytes(packet.packet_id.value);
  bool fits = true;
  if (v5) {
    PropertyWriter properties(out);
    properties.put_variable_byte_integer(PropertyId::subscription_identifier, packet.subscription_identifier);
    properties.put(packet.user_properties);
    fits = properties.close();
  }
  for (const Subscribe::Entry& entry : packet.entries) {
    out.string(entry.filter);
    unsigned bits = static_cast<unsigned>(entry.options.qos);
    if (v5) {
      if (entry.options.no_local) bits |= kNoLocal;
      if (entry.options.retain_as_published) bits |= kRetainAsPublished;
      bits |= static_cast<unsigned>(entry.options.retain_handling) << kRetainHandlingShift;
    }
    out.byte(static_cast<uint8_t>(bits));
  }
  return fits;
}

}  // namespace courier::mqtt
