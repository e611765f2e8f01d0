// A data directory full of sleeping phones: sessions with a subscription each, and messages that wait for
// them. For measuring how long a start takes. Written through the store's own ports, row by row as
// checkpoints do.
//
// Session number i is the client `client_id(i)`, subscribed with QoS 1 to `topic(i)` or to a filter that all
// have; its messages lie in its inbox, numbered from 0 in their payloads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace courier::bench {

struct Backlog {
  uint64_t sessions = 1'000'000;
  uint64_t messages = 10'000'000;  // spread evenly
  size_t payload_bytes = 200;
  std::string filter;  // everybody's, if there is one
  // Of a node of a cluster: the id of the cluster's log, and the revision of etcd that it has got to.
  std::string log_id;
  uint64_t cursor = 0;

  uint64_t messages_of_each() const { return messages / sessions; }
  static std::string client_id(uint64_t session);
  static std::string topic(uint64_t session);
  // As long as asked for, beginning with its number.
  std::string payload(uint64_t number) const;

  // Makes the data directory, which must not exist or be empty. `progress` hears how many sessions are
  // written.
  Result<void> make(const std::string& data_dir, const std::function<void(uint64_t)>& progress) const;
};

}  // namespace courier::bench
