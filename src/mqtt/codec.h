// One decode and one encode function for each control packet, in the file named after it. Internal to this
// folder: decoder.cc and encoder.cc choose among them by packet type.
#pragma once

#include <cstdint>
#include <optional>

#include "mqtt/decoder.h"
#include "mqtt/packet.h"
#include "mqtt/properties.h"
#include "mqtt/wire.h"

namespace courier::mqtt {

// What a decode function knows besides the body.
struct DecodeContext {
  Version version = Version::v5;
  Side side = Side::server;
  uint8_t flags = 0;  // low nibble of the first byte
  bool v3_1_1_extensions = false;
  std::optional<Version> named_version = std::nullopt;  // by a CONNECT, once it was read
  Side sender() const { return side == Side::server ? Side::client : Side::server; }
};

// Each fills `packet` from the body. A failure goes to `in`; then what is in `packet` means nothing. Bytes
// left in `in` are refused by the caller.
void decode(Reader& in, DecodeContext& context, Connect& packet);  // sets context.named_version
void decode(Reader& in, const DecodeContext& context, Connack& packet);
void decode(Reader& in, const DecodeContext& context, Publish& packet);
void decode(Reader& in, const DecodeContext& context, Puback& packet);
void decode(Reader& in, const DecodeContext& context, Pubrec& packet);
void decode(Reader& in, const DecodeContext& context, Pubrel& packet);
void decode(Reader& in, const DecodeContext& context, Pubcomp& packet);
void decode(Reader& in, const DecodeContext& context, Subscribe& packet);
void decode(Reader& in, const DecodeContext& context, Suback& packet);
void decode(Reader& in, const DecodeContext& context, Unsubscribe& packet);
void decode(Reader& in, const DecodeContext& context, Unsuback& packet);
void decode(Reader& in, const DecodeContext& context, Disconnect& packet);
void decode(Reader& in, const DecodeContext& context, Auth& packet);

struct EncodeContext {
  Version version = Version::v5;
  // What is left out when the packet would become too large for its receiver.
  bool with_user_properties = true;
  bool with_reason_string = true;
};

// Each writes the body. False when a length grew beyond what a Variable Byte Integer can hold.
bool encode(Writer& out, const EncodeContext& context, const Connect& packet);
bool encode(Writer& out, const EncodeContext& context, const Connack& packet);
bool encode(Writer& out, const EncodeContext& context, const PublishReply& packet);
bool encode(Writer& out, const EncodeContext& context, const Subscribe& packet);
bool encode(Writer& out, const EncodeContext& context, const Suback& packet);
bool encode(Writer& out, const EncodeContext& context, const Unsubscribe& packet);
bool encode(Writer& out, const EncodeContext& context, const Unsuback& packet);
bool encode(Writer& out, const EncodeContext& context, const Disconnect& packet);
bool encode(Writer& out, const EncodeContext& context, const Auth& packet);
// PUBLISH writes its fixed header too: its size is known before the first byte is written.
bool encode_publish(std::string& out, const Publish& packet, Version version, uint32_t maximum_packet_size);

// Packet identifier of everything that must have one. [MQTT-2.2.1-3], [MQTT-2.2.1-4]
PacketId read_packet_id(Reader& in);

// All that any packet but PUBLISH may carry, and the will. What may stand where was settled by the table in
// properties.cc: an absent property is simply empty.
struct PropertySet {
  std::optional<uint32_t> message_expiry_interval, subscription_identifier, session_expiry_interval,
      will_delay_interval, maximum_packet_size;
  std::optional<uint16_t> server_keep_alive, receive_maximum, topic_alias_maximum;
  std::optional<bool> request_problem_information, request_response_information, retain_available,
      wildcard_subscription_available, subscription_identifier_available, shared_subscription_available;
  std::optional<Qos> maximum_qos;
  std::optional<std::string_view> assigned_client_identifier, authentication_method, authentication_data,
      response_information, server_reference, reason_string;
  UserProperties user_properties;
};
PropertySet read_properties(Reader& in, PropertyHost host);
// Those that a packet has which needs to say no more: reason string and user properties, in 5.0.
void read_diagnostics(Reader& in, PropertyHost host, std::optional<std::string_view>& reason_string,
                      UserProperties& user_properties);

// Collects the forwarded properties of a PUBLISH or a will: a view of the input as long as they stand
// together.
class ForwardedView {
 public:
  void add(std::string_view property);
  // Hands over the block and what keeps it alive.
  void finish(std::string_view& block, GatheredProperties& gathered);

 private:
  std::string_view together_;
  std::shared_ptr<std::string> gathered_;
};
// A will's properties: forwarded ones go into `forwarded`, the others are returned.
PropertySet read_will_properties(Reader& in, ForwardedView& forwarded);

// Writes one block of properties, its length in front.
class PropertyWriter {
 public:
  explicit PropertyWriter(Writer& out) : out_(out), opened_(out.open_length()) {}
  // False when the block grew too long.
  bool close() { return out_.close_length(opened_); }

  void put(PropertyId id, std::optional<bool> value);
  void put(PropertyId id, std::optional<Qos> value);
  void put(PropertyId id, std::optional<uint16_t> value);
  void put(PropertyId id, std::optional<uint32_t> value);
  void put(PropertyId id, std::optional<std::string_view> value);
  void put_variable_byte_integer(PropertyId id, std::optional<uint32_t> value);
  void put(const UserProperties& properties);
  void put_forwarded(std::string_view block) { out_.raw(block); }

 private:
  void identifier(PropertyId id) { out_.byte(static_cast<uint8_t>(id)); }

  Writer& out_;
  size_t opened_;
};
// Reason string and user properties, as far as the context still wants them.
void put_diagnostics(PropertyWriter& properties, const EncodeContext& context,
                     std::optional<std::string_view> reason_string, const UserProperties& user_properties);

}  // namespace courier::mqtt
