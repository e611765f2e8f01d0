// A client of the simulation: keeps its own session as a well-behaved client does, loses connections, answers
// late, and writes what happens to it into the ledger.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ledger.h"
#include "world.h"

namespace courier::sim {

class SimClient {
 public:
  struct Role {
    std::string id;
    mqtt::Version version{};
    bool stored = true;  // persistent session
    bool will = false;
    std::map<std::string, mqtt::Qos> filters;  // $share/… too
    std::vector<std::string> topics;           // it publishes to; only this client does
    uint16_t receive_maximum = 20;
    mqtt::Qos will_qos = mqtt::Qos::at_least_once;
    uint32_t will_delay_seconds = 0;       // 5.0
    uint32_t expiry_seconds = 0xFFFFFFFF;  // 5.0: of its session
    uint32_t message_expiry_seconds = 0;   // 5.0: of some of its messages; 0: of none
    bool starts_clean = false;             // gives its stored session up now and then
    bool unsubscribes = false;             // and subscribes again
    bool entitled = true;                  // what it subscribes to must come; not so a member that leaves
    bool disorderly = false;               // answers in any order, some not before it is long asked
    bool slow = false;                     // its socket takes little at a time
    size_t outgoing_max = 15;
  };
  SimClient(World& world, Ledger& ledger, Role role)
      : world_(&world), ledger_(ledger), role_(std::move(role)) {}

  const Role& role() const { return role_; }
  bool connected() const { return wire_ && !wire_->closed() && acknowledged_; }
  // A client does not come back before it has seen its graceful end.
  bool may_connect() const { return !connected() && (!farewell_ || farewell_->closed()); }
  const World& world() const { return *world_; }
  bool idle() const { return connected() && outgoing_.empty() && answers_.empty() && subscribed(); }

  // From now on it connects there. For one that may_connect().
  void go_to(World& world);
  void connect(std::mt19937_64& random);
  void disconnect();       // gracefully
  void reset();            // the socket dies
  void machine_stopped();  // the node did
  // The others take its node for dead; it goes on, and so does the client, who knows nothing of it.
  void cut_off();
  void publish(std::mt19937_64& random);
  void unsubscribe(std::mt19937_64& random);
  // From now on it behaves, so that all can come to an end.
  void calm_down();
  // Reads one packet, or sends one answer that is due. False when there was nothing.
  bool act(std::mt19937_64& random);

 private:
  struct Out {
    uint64_t message = 0;  // in the ledger
    PacketId id;
    std::string topic;
    mqtt::Qos qos{};
    bool retain = false, expires = false;
    bool sent = false, received = false;  // on this connection; PUBREC came
  };
  bool subscribed() const { return subscriptions_known_.size() == role_.filters.size(); }
  void lost();
  void on(const mqtt::Packet& packet);
  void on_connack(const mqtt::Connack& packet);
  void on_publish(const mqtt::Publish& packet);
  void send_outgoing();
  void send_answer(std::mt19937_64& random);
  void session_is_gone();
  void settle_out(PacketId id, bool received, bool refused);
  PacketId free_id();

  World* world_;
  Ledger& ledger_;
  Role role_;
  std::shared_ptr<Wire> wire_;
  bool acknowledged_ = false;  // CONNACK came on this connection
  bool was_stored_ = false;    // a CONNACK of a stored session came, and it was not given up
  bool asked_clean_ = false, must_start_clean_ = false;
  WallMs left_at_ = 0;              // when its last connection ended
  WallMs cut_at_ = 0;               // when its connection ended without its knowing; 0: it did not
  bool stopped_meanwhile_ = false;  // the node, since then
  uint64_t will_ = 0;
  std::shared_ptr<Wire> farewell_;  // on which a DISCONNECT was sent
  uint64_t will_taken_back_ = 0;
  std::deque<Out> outgoing_;
  uint16_t next_id_ = 1;
  std::set<uint16_t> receiving_;  // QoS 2 ids between PUBLISH and PUBREL
  std::deque<mqtt::Packet> answers_;
  std::set<std::string> subscriptions_known_, subscriptions_asked_;
  std::string asked_filter_;
};

}  // namespace courier::sim
