#include "wire.h"

#include <cstdio>

namespace courier::bench {
namespace {

void put_text(std::string& to, std::string_view text) {
  to.push_back(static_cast<char>(text.size() >> 8));
  to.push_back(static_cast<char>(text.size()));
  to.append(text);
}

std::string with_header(uint8_t first, std::string_view body) {
  std::string packet(1, static_cast<char>(first));
  size_t length = body.size();
  do {
    const size_t rest = length >> 7;
    packet.push_back(static_cast<char>((length & 0x7f) | (rest != 0 ? 0x80 : 0)));
    length = rest;
  } while (length != 0);
  packet.append(body);
  return packet;
}

}  // namespace

std::string connect_packet(std::string_view client_id, bool clean, uint16_t keep_alive_s) {
  std::string body;
  put_text(body, "MQTT");
  body.push_back(4);
  body.push_back(clean ? 2 : 0);
  body.push_back(static_cast<char>(keep_alive_s >> 8));
  body.push_back(static_cast<char>(keep_alive_s));
  put_text(body, client_id);
  return with_header(0x10, body);
}

std::string subscribe_packet(std::string_view filter, unsigned qos) {
  std::string body("\0\1", 2);
  put_text(body, filter);
  body.push_back(static_cast<char>(qos));
  return with_header(0x82, body);
}

std::string topic_of(uint32_t destination) {
  char text[16];
  std::snprintf(text, sizeof text, "d/%07u", destination);
  return text;
}

std::string publish_packet(uint32_t destination, unsigned qos, size_t payload_bytes) {
  std::string body;
  put_text(body, topic_of(destination));
  if (qos > 0) body.append(2, '\0');
  body.append(payload_bytes, 'x');
  return with_header(static_cast<uint8_t>(0x30 | qos << 1), body);
}

size_t publish_id_at(std::string_view packet) {
  size_t at = 1;
  while ((static_cast<uint8_t>(packet[at]) & 0x80) != 0) ++at;
  return at + 1 + 2 + kTopicBytes;
}

}  // namespace courier::bench
