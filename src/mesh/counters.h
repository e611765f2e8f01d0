// What the mesh counts. Each sender has its own; the rest is the mesh thread's.
#pragma once

#include <string_view>

#include "base/metrics.h"

namespace courier::mesh {

// Why a message that was to go to a node did not.
struct DropCounters {
  explicit DropCounters(Registry& registry)
      : no_link(of(registry, "no_link")),
        full(of(registry, "queue_full")),
        too_large(of(registry, "too_large")),
        link_lost(of(registry, "link_lost")) {}

  Counter& no_link;    // none to that node when it was sent
  Counter& full;       // too much waits for that node already
  Counter& too_large;  // it fits no frame
  Counter& link_lost;  // it waited, and the link went

 private:
  static Counter& of(Registry& registry, std::string_view reason) {
    return registry.counter("courier_mesh_dropped_total",
                            "QoS 0 messages to other nodes that were dropped, by reason.",
                            {{"reason", std::string(reason)}});
  }
};

struct Counters {
  explicit Counters(Registry& registry)
      : messages_in(messages(registry, "in")),
        messages_out(messages(registry, "out")),
        bytes_in(bytes(registry, "in")),
        bytes_out(bytes(registry, "out")),
        writes(registry.counter("courier_mesh_writes_total", "Writes to sockets of other nodes.")),
        links_up(links(registry, "up")),
        links_down(links(registry, "down")),
        lag(registry.histogram("courier_mesh_lag_seconds",
                               "Time of a ping to another node and back, behind what waits in the socket.")),
        drops(registry) {}

  static Counter& messages(Registry& registry, std::string_view direction) {
    return registry.counter("courier_mesh_messages_total", "QoS 0 messages between nodes.",
                            {{"direction", std::string(direction)}});
  }
  static Counter& bytes(Registry& registry, std::string_view direction) {
    return registry.counter("courier_mesh_bytes_total", "Bytes on the wire between nodes.",
                            {{"direction", std::string(direction)}});
  }
  static Gauge& links(Registry& registry, std::string_view state) {
    return registry.gauge("courier_mesh_links",
                          "Other members of the cluster, by the state of the link to them.",
                          {{"state", std::string(state)}});
  }
  static Gauge& link_up(Registry& registry, const std::string& peer) {
    return registry.gauge("courier_mesh_link_up",
                          "Whether there is a link to a node; 0 also for one that left the cluster.",
                          {{"peer", peer}});
  }
  static Counter& refused(Registry& registry, std::string_view reason) {
    return registry.counter("courier_mesh_refused_total",
                            "Connections of others that were refused before they were a link, by reason.",
                            {{"reason", std::string(reason)}});
  }

  Counter& messages_in;
  Counter& messages_out;
  Counter& bytes_in;
  Counter& bytes_out;
  Counter& writes;
  Gauge& links_up;
  Gauge& links_down;
  Histogram& lag;
  DropCounters drops;
};

}  // namespace courier::mesh
