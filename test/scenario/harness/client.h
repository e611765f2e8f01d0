// A client under the test's full control: blocking, one socket, nothing sent that the test did not ask for.
// Every wait ends at kPatience with a sentence that says what was waited for and what came instead.
//
// Owned by the test's thread. Broken expectations are thrown (see wire.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/broker.h"
#include "harness/nodes.h"
#include "harness/transports.h"
#include "harness/wire.h"

namespace courier::scenario {

// The versions that a test repeats itself for.
constexpr Version kVersions[] = {v3_1, v3_1_1, v5};

// A CONNECT whose session outlives the connection, in every version.
Connect persistent(Version version, std::string client_id);

class Client {
 public:
  // A TCP connection and nothing more.
  static Client open(uint16_t port);
  // The same, and then what stands between: a test's own.
  static Client open(uint16_t port, std::unique_ptr<net::Transport> transport);
  // To this node and no other, as TCP brings it: nothing of COURIER_TRANSPORT.
  static Client open_at(uint32_t node, uint16_t port);
  // From here on what is sent and read goes through this.
  void begin(std::unique_ptr<net::Transport> transport);
  static Client open_ipv6(uint16_t port);  // to ::1
  static bool has_ipv6();
  static Client open() { return open(shared_broker().port()); }

  // Connected: CONNECT was accepted. An empty client id becomes a unique one, unless assigned_id is asked
  // for.
  explicit Client(const Connect& connect = {}, std::optional<uint16_t> port = std::nullopt);
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;
  ~Client();

  const Packet& connack() const { return connack_; }
  const std::string& id() const { return id_; }
  uint32_t node() const { return node_; }  // where it is connected, the first is 0
  Version version() const { return version_; }

  // What a client of this version may read, before or without a CONNECT through handshake().
  void speak(Version version) { version_ = version; }
  // Sends CONNECT, takes the next packet, which must be CONNACK, whatever it says.
  Packet handshake(const Connect& connect);
  void send(std::string_view bytes);

  // The next packet, which must be of this type.
  Packet expect(Type type);
  // The first packet of this type (and id, unless 0); others stay in line for later.
  Packet await(Type type, uint16_t id = 0);

  // Whole exchanges. publish() gives PUBACK, PUBREC, or for QoS 0 an empty Packet.
  Packet publish(Publish publish);
  Packet publish(std::string_view topic, std::string_view payload, int qos = 0, bool retain = false) {
    return publish(
        Publish{.topic = std::string(topic), .payload = std::string(payload), .qos = qos, .retain = retain});
  }
  Packet subscribe(const std::vector<Filter>& filters, const Properties& properties = {});
  Packet subscribe(std::string_view filter, int qos = 0) {
    return subscribe({{std::string(filter), static_cast<uint8_t>(qos)}});
  }
  Packet unsubscribe(const std::vector<std::string>& filters, const Properties& properties = {});
  // PINGREQ, and PINGRESP awaited: the server has read everything sent before.
  void ping();

  // The next PUBLISH, acknowledged to the end of its QoS.
  Packet message();
  // The same, but it must carry this payload.
  Packet message(std::string_view payload);
  // Acknowledges a PUBLISH that was taken by expect() or await().
  void acknowledge(const Packet& publish);

  // Nothing but a marker, which `sender` publishes now and which comes last in order, reaches this client.
  void expect_nothing_but_marker(Client& sender);
  // No packet arrives for this long. For what must not happen before a moment that the server's clock
  // decides.
  void expect_silence(std::chrono::milliseconds duration);

  // The server ends this connection. 5.0: by a DISCONNECT with one of these reason codes (mosquitto may leave
  // it out). Other packets before it are not accepted.
  void expect_end(std::initializer_list<uint8_t> reasons);
  void expect_end() { expect_end({}); }
  // The server ended the connection somehow: packets before that are given back.
  std::vector<Packet> read_until_end();
  std::string read_to_end();  // raw bytes

  // DISCONNECT, and wait until the server has closed: it has seen it.
  void disconnect(uint8_t reason = 0, const Properties& properties = {});
  // Ends the network connection without a word. The server sees an error or an end of stream.
  void drop();
  // Half of it: the server reads the end of the stream, and may still answer.
  void finish_sending();
  bool is_open() const { return fd_ >= 0; }
  uint16_t next_id() { return last_id_ = last_id_ == 65'535 ? 1 : last_id_ + 1; }

 private:
  Client(int fd, Version version) : fd_(fd), version_(version) {}
  void send_wire(std::string_view bytes);
  // Reads at least one byte, into buffer_ unless it is the transport's own; false at the end of the stream;
  // throws after the deadline.
  bool fill(std::chrono::steady_clock::time_point deadline, std::string_view waiting_for);
  std::optional<Packet> next(std::chrono::steady_clock::time_point deadline, std::string_view waiting_for);

  int fd_ = -1;
  uint16_t port_ = 0;
  uint32_t node_ = 0;
  std::unique_ptr<net::Transport> transport_;
  bool opening_ = true;
  Version version_ = v5;
  std::string id_, buffer_;
  std::deque<Packet> waiting_;
  Packet connack_;
  uint16_t last_id_ = 0;
  size_t packet_size_max_ = SIZE_MAX;  // as told in CONNECT: [MQTT-3.1.2-27]
};

}  // namespace courier::scenario
