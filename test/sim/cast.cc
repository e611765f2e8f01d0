#include "cast.h"

namespace courier::sim {

using mqtt::Qos;
using mqtt::Version;

namespace {

// Sessions that end: by their own time, or because their client wants a new one.
void live_variously(SimClient::Role& role, const Moods& moods, std::mt19937_64& random) {
  if (!role.stored || role.version != Version::v5) return;
  if (moods.timed && random() % 2 == 0) role.expiry_seconds = 5 + static_cast<uint32_t>(random() % 100);
  role.starts_clean = random() % 4 == 0;
}

}  // namespace

std::vector<SimClient::Role> cast(std::mt19937_64& random, const Moods& moods) {
  std::vector<SimClient::Role> roles;
  const Version versions[] = {Version::v3_1_1, Version::v5, Version::v5};
  const auto version = [&] { return versions[random() % 3]; };
  const size_t publishers = 1 + random() % 3;
  for (size_t i = 0; i < publishers; ++i) {
    SimClient::Role role;
    role.id = "pub" + std::to_string(i);
    role.version = version();
    role.stored = random() % 4 != 0;
    role.will = random() % 2 == 0;
    role.will_qos = static_cast<Qos>(1 + random() % 2);
    if (role.version == Version::v5 && random() % 3 == 0) {
      role.will_delay_seconds = 1 + static_cast<uint32_t>(random() % 30);
    }
    if (moods.old) role.message_expiry_seconds = 1 + static_cast<uint32_t>(random() % 60);
    if (moods.deep) role.outgoing_max = 60;
    live_variously(role, moods, random);
    for (int t = 0; t < 2; ++t) role.topics.push_back("t/" + role.id + "/" + std::to_string(t));
    roles.push_back(role);
  }
  const std::string filters[] = {"t/#", "t/pub0/+", "t/+/0", "t/pub0/1"};
  for (size_t i = 0; i < 3; ++i) {
    SimClient::Role role;
    role.id = "sub" + std::to_string(i);
    role.version = version();
    role.stored = i == 0 || random() % 4 != 0;
    role.filters[i == 0 ? "t/#" : filters[random() % 4]] = static_cast<Qos>(1 + random() % 2);
    const Qos qos = role.filters.begin()->second;
    if (i == 0) role.filters["will/#"] = static_cast<Qos>(1 + random() % 2);
    if (i > 0 && random() % 3 == 0) role.filters[filters[random() % 4]] = qos;  // they overlap
    role.receive_maximum = 1 + static_cast<uint16_t>(random() % 20);
    role.unsubscribes = i > 0 && random() % 2 == 0;
    role.disorderly = moods.disorderly && random() % 2 == 0;
    role.slow = random() % 4 == 0;
    if (i > 0) live_variously(role, moods, random);
    roles.push_back(role);
  }
  if (random() % 2 == 0) {
    const auto qos = static_cast<Qos>(1 + random() % 2);
    for (int i = 0; i < 2; ++i) {
      SimClient::Role role;
      role.id = "share" + std::to_string(i);
      role.version = version();
      role.filters["$share/g/t/#"] = qos;
      roles.push_back(role);
    }
    // Members that come and go. The others stay, so that nothing may be missing; but a member whose session
    // ends takes its QoS 2 messages along.
    for (size_t i = 0; i < random() % 3; ++i) {
      SimClient::Role role;
      role.id = "guest" + std::to_string(i);
      role.version = version();
      role.filters["$share/g/t/#"] = qos;
      role.entitled = false;
      role.unsubscribes = true;
      role.receive_maximum = 1 + static_cast<uint16_t>(random() % 5);
      if (qos == Qos::at_least_once) {
        role.stored = random() % 2 == 0;
        if (role.stored) live_variously(role, moods, random);
      }
      roles.push_back(role);
    }
  }
  return roles;
}

}  // namespace courier::sim
