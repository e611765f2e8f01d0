#include "mqtt/encoder.h"

#include "mqtt/codec.h"

namespace courier::mqtt {
namespace {

// First byte of the packets that have no flags of their own: Table 2-2.
constexpr uint8_t first_byte(PacketType type) {
  const bool reserved_bit =
      type == PacketType::pubrel || type == PacketType::subscribe || type == PacketType::unsubscribe;
  return static_cast<uint8_t>(static_cast<unsigned>(type) << 4 | (reserved_bit ? 2 : 0));
}

// Appends one packet, or nothing when it is larger than `size_max`.
template <typename Body>
bool append(std::string& out, const EncodeContext& context, PacketType type, const Body& packet,
            size_t size_max) {
  const size_t begin = out.size();
  Writer writer(out);
  writer.byte(first_byte(type));
  const size_t length = writer.open_length();
  const bool fits = encode(writer, context, packet) && writer.close_length(length);
  if (fits && out.size() - begin <= size_max) return true;
  out.resize(begin);
  return false;
}

// As it is, else without user properties, else without the reason string too.
template <typename Body>
bool append_what_fits(std::string& out, Version version, PacketType type, const Body& packet,
                      size_t size_max) {
  EncodeContext context{.version = version};
  if (append(out, context, type, packet, size_max)) return true;
  if (version != Version::v5) return false;
  context.with_user_properties = false;
  if (append(out, context, type, packet, size_max)) return true;
  context.with_reason_string = false;
  return append(out, context, type, packet, size_max);
}

struct Encoder {
  std::string& out;
  Version version;
  uint32_t size_max;

  template <typename Body>
  bool put(PacketType type, const Body& packet) const {
    return append_what_fits(out, version, type, packet, size_max);
  }
  // What a client says of itself and asks for is not ours to shorten.
  template <typename Body>
  bool put_whole(PacketType type, const Body& packet) const {
    return append(out, {.version = version}, type, packet, size_max);
  }
  bool put_reply(PacketType type, const PublishReply& packet) const { return put(type, packet); }
  bool put_empty(PacketType type) const {
    if (size_max < 2) return false;
    Writer writer(out);
    writer.byte(first_byte(type));
    writer.byte(0);
    return true;
  }

  bool operator()(const Connect& packet) const { return put_whole(PacketType::connect, packet); }
  bool operator()(const Connack& packet) const { return put(PacketType::connack, packet); }
  bool operator()(const Publish& packet) const { return encode_publish(out, packet, version, size_max); }
  bool operator()(const Puback& packet) const { return put_reply(PacketType::puback, packet); }
  bool operator()(const Pubrec& packet) const { return put_reply(PacketType::pubrec, packet); }
  bool operator()(const Pubrel& packet) const { return put_reply(PacketType::pubrel, packet); }
  bool operator()(const Pubcomp& packet) const { return put_reply(PacketType::pubcomp, packet); }
  bool operator()(const Subscribe& packet) const { return put_whole(PacketType::subscribe, packet); }
  bool operator()(const Suback& packet) const { return put(PacketType::suback, packet); }
  bool operator()(const Unsubscribe& packet) const { return put_whole(PacketType::unsubscribe, packet); }
  bool operator()(const Unsuback& packet) const { return put(PacketType::unsuback, packet); }
  bool operator()(const Pingreq&) const { return put_empty(PacketType::pingreq); }
  bool operator()(const Pingresp&) const { return put_empty(PacketType::pingresp); }
  bool operator()(const Disconnect& packet) const { return put(PacketType::disconnect, packet); }
  bool operator()(const Auth& packet) const { return put(PacketType::auth, packet); }
};

}  // namespace

bool encode(std::string& out, const Packet& packet, Version version, uint32_t maximum_packet_size) {
  return std::visit(Encoder{out, version, maximum_packet_size}, packet);
}

}  // namespace courier::mqtt
