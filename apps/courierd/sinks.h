// Who is told of events: the outbox, and a dispatcher with its sink for each [[sink]]; the only place where
// sinks' adapters are chosen.
//
// Owned by the daemon, used on its main thread where nothing else is said.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admin/control.h"
#include "base/metrics.h"
#include "base/result.h"
#include "broker/node.h"
#include "config/settings.h"
#include "events/dispatcher.h"
#include "events/outbox.h"
#include "events/webhook/webhook_sink.h"

namespace courier::courierd {

class Sinks {
 public:
  // What is given outlives it. Errors: a sink that can never be told, with its name.
  static Result<std::unique_ptr<Sinks>> open(const config::Settings& settings, const store::StateStore& state,
                                             Registry& registry);

  events::Outbox& outbox() { return *outbox_; }
  // Events are written from then on. Before the node starts.
  void use(broker::Node& node, auth::acl::Labels& labels) const;
  // Once the node has started.
  void start();
  // About ten times a second: in a cluster, which of them this node tells.
  void look(broker::Node& node);
  // Whether every sink was told all there is, or cannot be told more now.
  bool quiet() const;
  // --- any thread ---
  std::vector<admin::SinkFacts> facts() const;
  void test(const std::string& name, events::Kind kind,
            std::function<void(Result<admin::SinkTrial>)> done) const;
  Result<uint64_t> replay(const std::string& name) const;
  // --- the main thread again ---
  void stop();

 private:
  explicit Sinks(const config::Settings& settings) : settings_(settings) {}
  Result<std::unique_ptr<events::Sink>> sink_of(const config::Settings& settings, const config::Sink& from,
                                                Registry& registry);
  // Error: there is no such sink, or it is no webhook.
  Result<events::webhook::WebhookSink*> webhook(const std::string& name) const;

  const config::Settings settings_;
  std::unique_ptr<events::Outbox> outbox_;
  std::map<std::string, events::webhook::WebhookSink*> webhooks_;  // by name; the dispatchers have them
  std::vector<std::unique_ptr<events::Dispatcher>> dispatchers_;
};

}  // namespace courier::courierd
