#include "broker/trace_line.h"

#include <fmt/format.h>

namespace courier::broker {

namespace {

std::string publish_line(uint16_t id, mqtt::Qos qos, bool retain, bool dup, std::string_view topic,
                         size_t size) {
  return fmt::format("PUBLISH id={} qos={} retain={} dup={} topic=\"{}\" payload={}B", id,
                     static_cast<int>(qos), retain ? 1 : 0, dup ? 1 : 0, topic, size);
}

std::string reply_line(std::string_view packet, const mqtt::PublishReply& reply) {
  return fmt::format("{} id={} reason={}", packet, reply.packet_id.value, mqtt::name(reply.reason));
}

template <typename Reasons>
std::string reasons_line(const Reasons& reasons) {
  std::string line;
  for (const mqtt::ReasonCode reason : reasons) {
    if (!line.empty()) line += ',';
    line += mqtt::name(reason);
  }
  return line;
}

}  // namespace

std::string trace_line(const mqtt::Packet& packet) {
  struct Visitor {
    std::string operator()(const mqtt::Connect& p) const {
      return fmt::format("CONNECT client_id=\"{}\"", p.client_id);
    }
    std::string operator()(const mqtt::Connack& p) const {
      return fmt::format("CONNACK reason={} session_present={}", mqtt::name(p.reason),
                         p.session_present ? 1 : 0);
    }
    std::string operator()(const mqtt::Publish& p) const {
      return publish_line(p.packet_id.value, p.qos, p.retain, p.dup, p.topic, p.payload.size());
    }
    std::string operator()(const mqtt::Puback& p) const { return reply_line("PUBACK", p); }
    std::string operator()(const mqtt::Pubrec& p) const { return reply_line("PUBREC", p); }
    std::string operator()(const mqtt::Pubrel& p) const { return reply_line("PUBREL", p); }
    std::string operator()(const mqtt::Pubcomp& p) const { return reply_line("PUBCOMP", p); }
    std::string operator()(const mqtt::Subscribe& p) const {
      std::string line = fmt::format("SUBSCRIBE id={}", p.packet_id.value);
      for (const auto& entry : p.entries) {
        line += fmt::format(" \"{}\" qos={}", entry.filter, static_cast<int>(entry.options.qos));
      }
      return line;
    }
    std::string operator()(const mqtt::Suback& p) const {
      return fmt::format("SUBACK id={} reasons={}", p.packet_id.value, reasons_line(p.reasons));
    }
    std::string operator()(const mqtt::Unsubscribe& p) const {
      std::string line = fmt::format("UNSUBSCRIBE id={}", p.packet_id.value);
      for (const auto& filter : p.filters) line += fmt::format(" \"{}\"", filter);
      return line;
    }
    std::string operator()(const mqtt::Unsuback& p) const {
      return fmt::format("UNSUBACK id={} reasons={}", p.packet_id.value, reasons_line(p.reasons));
    }
    std::string operator()(const mqtt::Pingreq&) const { return "PINGREQ"; }
    std::string operator()(const mqtt::Pingresp&) const { return "PINGRESP"; }
    std::string operator()(const mqtt::Disconnect& p) const {
      return fmt::format("DISCONNECT reason={}", mqtt::name(p.reason));
    }
    std::string operator()(const mqtt::Auth& p) const {
      return fmt::format("AUTH reason={}", mqtt::name(p.reason));
    }
  };
  return std::visit(Visitor{}, packet);
}

std::string trace_line(const mqtt::Message& message, const mqtt::Delivery& delivery) {
  return publish_line(delivery.packet_id.value, delivery.qos, delivery.retain, delivery.dup, message.topic,
                      message.payload.size());
}

}  // namespace courier::broker
