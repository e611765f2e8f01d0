#include "judge.h"

#include <set>

namespace courier::sim {

using mqtt::Qos;

std::vector<std::string> retained_faults(World& world, const Ledger& ledger,
                                         const std::deque<SimClient>& clients, bool all) {
  std::vector<std::string> faults;
  const auto wire = world.open(mqtt::Version::v3_1_1);
  mqtt::Connect connect;
  connect.client_id = "judge";
  wire->send(connect);
  mqtt::Subscribe subscribe;
  subscribe.packet_id = PacketId(1);
  subscribe.entries.push_back({"t/#", {Qos::at_least_once}});
  wire->send(subscribe);
  world.settle();
  std::set<std::string> seen;
  for (auto packet = wire->receive(); packet; packet = wire->receive()) {
    const auto* publish = std::get_if<mqtt::Publish>(&*packet);
    if (!publish) continue;
    const std::string topic(publish->topic), payload(publish->payload);
    seen.insert(topic);
    if (publish->qos == Qos::at_least_once) {
      wire->send(mqtt::Puback{{publish->packet_id, {}, {}, {}}});
      world.settle();
    }
    if (!ledger.may_be_retained(topic, payload)) {
      faults.push_back("the retained message of " + topic + " is " + payload + ", an outdated one");
    }
  }
  world.settle();
  wire->reset();
  world.settle();
  for (const SimClient& client : clients) {
    for (const std::string& topic : client.role().topics) {
      if (all && ledger.must_have_retained(topic) && !seen.contains(topic)) {
        faults.push_back("the retained message of " + topic + " is gone");
      }
    }
  }
  return faults;
}

}  // namespace courier::sim
