// Who is to get a message: the scenario's subscriptions, asked by topic. Pure.
//
// A filter with {n} in it belongs to the one client whose number the topic has in that place; a filter
// without belongs to the whole group. A shared subscription is one receiver, whoever of its members gets the
// message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "load/scenario.h"

namespace courier::load {

// A client of the run: groups in a row, each one's clients by number.
using ClientNumber = uint32_t;

class Audience {
 public:
  explicit Audience(const Scenario& scenario);

  // One subscription's receivers of a topic.
  struct Receivers {
    static constexpr uint32_t kNoShare = 0xFFFFFFFF;
    ClientNumber first = 0;
    uint32_t count = 0;         // a row of clients
    mqtt::Qos qos{};            // the subscription's; the highest of several
    uint32_t share = kNoShare;  // or one shared subscription, by its number
    uint32_t matching = 1;      // how many subscriptions of each match: a server may send a copy for each
  };
  // What matches, each client and each shared subscription once; `scratch` is for reuse.
  void of(std::string_view topic, std::vector<Receivers>& out, std::string& scratch) const;

  uint32_t shares() const { return static_cast<uint32_t>(share_names_.size()); }
  // "$share/NAME/FILTER", as subscribed to.
  const std::string& share_name(uint32_t share) const { return share_names_[share]; }
  // The shared subscription behind one of a group's subscriptions; kNoShare when it is an ordinary one.
  uint32_t share_of(size_t group, size_t subscription) const;

  ClientNumber first_of(size_t group) const { return first_[group]; }
  uint32_t clients() const { return first_.back(); }
  // The group of a client, and its number there.
  struct Member {
    size_t group = 0;
    uint32_t number = 0;
  };
  Member member(ClientNumber client) const;

 private:
  static void cover(std::vector<Receivers>& out, Receivers added);

  struct Entry {
    size_t group = 0, subscription = 0;
    TextTemplate filter;  // without $share/NAME/
    mqtt::Qos qos{};
    uint32_t share = Receivers::kNoShare;
    // Of a filter with {n}: in which level it stands first, and what stands before it there.
    bool numbered = false;
    size_t level = 0;
    std::string before;
  };
  const Scenario& scenario_;
  std::vector<ClientNumber> first_;  // by group, and one past the end
  std::vector<Entry> entries_;
  std::vector<std::string> share_names_;
};

}  // namespace courier::load
