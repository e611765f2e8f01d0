// Whether a scenario that can be read makes sense.
#include <algorithm>

#include <fmt/format.h>

#include "load/limits.h"
#include "load/message_id.h"
#include "load/scenario_file.h"
#include "load/threshold_steps.h"
#include "mqtt/topic.h"

namespace courier::load {

namespace {

using Slot = TextTemplate::Slot;

// The template filled in as for the first client, to look at its shape.
std::string example(const TextTemplate& text) {
  return text.fill({.number = 0, .pick = 0, .sequence = 1, .own_id = "id", .message_id = "id"});
}

bool is_filter(std::string_view filter) {
  if (!mqtt::is_shared(filter)) return mqtt::is_topic_filter(filter);
  const auto shared = mqtt::parse_shared(filter);
  return shared && mqtt::is_topic_filter(shared->filter);
}

struct Checker {
  const Scenario& scenario;
  Findings& findings;
  std::vector<bool> connected = std::vector<bool>(scenario.groups.size(), false);

  void group(const Group& each) {
    if (each.client_id.empty()) {
      findings.error(each.place, fmt::format("group \"{}\" needs a client_id", each.name));
    } else if (!each.client_id.uses(Slot::number) && each.count > 1) {
      findings.error(
          each.place,
          fmt::format("the {} clients of \"{}\" all have the client id \"{}\": each would end the one "
                      "before; say {{n}} in it",
                      each.count, each.name, each.client_id.text()));
    }
    if (each.jwt && each.username.empty()) {
      findings.warning(each.place, fmt::format("group \"{}\" has a password and no username", each.name));
    }
    if (each.mqtt.version != mqtt::Version::v5) {
      if (each.mqtt.session_expiry_given) {
        findings.warning(each.place,
                         "session_expiry is of version 5; before, sessions that are stored never end");
      }
      if (each.mqtt.receive_maximum != 65'535)
        findings.warning(each.place, "receive_maximum is of version 5");
    } else if (each.mqtt.clean_session && each.mqtt.session_expiry_given) {
      findings.warning(each.place,
                       "session_expiry without clean_session: false stores a session that nobody takes up");
    }
    for (const LoadSubscription& s : each.subscribe) {
      if (!is_filter(example(s.filter))) {
        findings.error(s.place, fmt::format("\"{}\" is not a legal topic filter", s.filter.text()));
      }
    }
    for (const Reaction& r : each.on_message) {
      if (!is_filter(example(r.match))) {
        findings.error(r.place, fmt::format("\"{}\" is not a legal topic filter", r.match.text()));
      }
      topic(r.place, r.topic);
      if (r.topic.uses(Slot::pick))
        findings.error(r.place, "an answer has nobody to {pick}; {n} is the client's own number");
      if (overlap(example(r.match), example(r.topic))) {
        findings.warning(r.place,
                         fmt::format("\"{}\" is an answer to itself: a client that hears its own answers "
                                     "will answer without end",
                                     r.topic.text()));
      }
      const bool heard =
          std::any_of(each.subscribe.begin(), each.subscribe.end(), [&](const LoadSubscription& s) {
            return s.filter == r.match || overlap(example(s.filter), example(r.match));
          });
      if (!heard) {
        findings.warning(r.place, fmt::format("group \"{}\" subscribes to nothing that matches \"{}\"",
                                              each.name, r.match.text()));
      }
    }
  }

  // Whether a filter and a filter or topic may name the same topic, for the purpose of a warning.
  static bool overlap(std::string_view a, std::string_view b) {
    if (const auto shared = mqtt::parse_shared(a)) a = shared->filter;
    return a == b || mqtt::matches(a, b) || mqtt::matches(b, a);
  }

  void topic(Place place, const TextTemplate& text) {
    if (!mqtt::is_topic_name(example(text))) {
      findings.error(place, fmt::format("\"{}\" is not a legal topic name", text.text()));
    }
  }

  // Two groups whose clients would throw one another out.
  void same_ids(size_t group) {
    const Group& each = scenario.groups[group];
    for (size_t other = 0; other < group; ++other) {
      if (!(scenario.groups[other].client_id == each.client_id)) continue;
      findings.error(each.place, fmt::format("groups \"{}\" and \"{}\" have the same client ids, \"{}\": "
                                             "each client would end another's connection",
                                             scenario.groups[other].name, each.name, each.client_id.text()));
    }
  }

  void threshold(const Threshold& each) {
    const std::string_view missing = missing_step(scenario, each);
    if (!missing.empty()) {
      findings.warning(
          each.place,
          fmt::format(
              "{} has no step that {}: {} is not measured then, and what is not measured does not hold",
              each.stage ? fmt::format("stage \"{}\"", scenario.stages[*each.stage].name) : "the scenario",
              missing, each.metric));
    }
    if (each.grace_ms > 0 && !each.abort) {
      findings.warning(each.place, "grace is for thresholds that abort: say abort: true too");
    }
  }

  // Whether anybody subscribes to what is published to.
  bool has_subscriber(const TextTemplate& text) {
    const std::string published = example(text);
    for (const Group& each : scenario.groups) {
      for (const LoadSubscription& s : each.subscribe) {
        if (overlap(example(s.filter), published)) return true;
      }
    }
    return false;
  }

  void step(const Stage& stage, const Step& each) {
    if (const auto* connect = std::get_if<ConnectStep>(&each.what)) {
      double clients = 0;
      for (const size_t g : connect->groups) {
        connected[g] = true;
        clients += static_cast<double>(scenario.groups[g].count);
      }
      const double seconds = static_cast<double>(connect->over_ms) / 1e3;
      if (seconds > 0 && clients / seconds > kConnectsLikely) {
        findings.warning(each.place,
                         fmt::format("{:.0f} connects a second: more than one process is likely to reach",
                                     clients / seconds));
      }
      ends_before(stage, each.place, connect->over_ms, "connects");
    } else if (const auto* disconnect = std::get_if<DisconnectStep>(&each.what)) {
      for (const size_t g : disconnect->groups) used(each.place, g);
      ends_before(stage, each.place, disconnect->over_ms, "disconnects");
    } else if (const auto* flap = std::get_if<FlapStep>(&each.what)) {
      used(each.place, flap->group);
      lasts(stage, each.place, "flap");
      if (flap->up.to_ms == 0 && flap->down.to_ms == 0) findings.error(each.place, "up and down are both 0");
    } else if (const auto* publish = std::get_if<PublishStep>(&each.what)) {
      used(each.place, publish->group);
      publishes(stage, each.place, *publish);
    }
  }

  void used(Place place, size_t group) {
    if (connected[group]) return;
    findings.error(place, fmt::format("group \"{}\" is not connected by any stage up to here",
                                      scenario.groups[group].name));
  }

  void lasts(const Stage& stage, Place place, std::string_view what) {
    if (stage.duration_ms || stage.until) return;
    findings.error(place,
                   fmt::format("stage \"{}\" needs a duration, or this {} never ends", stage.name, what));
  }

  void ends_before(const Stage& stage, Place place, int64_t over_ms, std::string_view what) {
    const auto ends_ms = stage.duration_ms ? stage.duration_ms : stage.timeout_ms;
    if (!ends_ms || over_ms <= *ends_ms) return;
    findings.warning(place, fmt::format("stage \"{}\" ends after {} s, before this step {} everybody, which "
                                        "takes {} s",
                                        stage.name, static_cast<double>(*ends_ms) / 1e3, what,
                                        static_cast<double>(over_ms) / 1e3));
  }

  void publishes(const Stage& stage, Place place, const PublishStep& step) {
    topic(place, step.topic);
    if (step.topic.uses(Slot::pick) && !step.pick) {
      findings.error(place, "the topic has {pick}, and there is no pick: say pick: { from: GROUP }");
    }
    if (step.pick && !step.topic.uses(Slot::pick) && !step.payload.text.uses(Slot::pick)) {
      findings.warning(place, "pick is not used: neither topic nor payload has {pick}");
    }
    if (!step.count) lasts(stage, place, "publish");
    if (!step.payload.text.empty() && !step.payload.text.uses(Slot::own_id)) {
      findings.warning(place,
                       "the payload has no {id}: its deliveries cannot be told apart and are not counted");
    }
    if (!has_subscriber(step.topic)) {
      findings.warning(place, fmt::format("nobody subscribes to \"{}\"", step.topic.text()));
    }
    if (step.rate.highest() == 0) findings.warning(place, "the rate is 0 throughout");
    const Group& group = scenario.groups[step.group];
    const double each = step.rate.highest() / static_cast<double>(group.count);
    // With one unanswered message after the other, a client gets through some thousand a second.
    if (step.qos != mqtt::Qos::at_most_once && each > kSendsEachLikely) {
      findings.warning(
          place, fmt::format("{:.0f} messages a second and client with QoS {}: more than the {} clients "
                             "of \"{}\" are likely to reach",
                             each, static_cast<int>(step.qos), group.count, group.name));
    }
    if (step.expect_reply && !has_subscriber(step.expect_reply->topic)) {
      findings.warning(place, fmt::format("nobody subscribes to the reply's topic \"{}\"",
                                          step.expect_reply->topic.text()));
    }
  }
};

}  // namespace

void check_sense(const Scenario& scenario, Findings& findings) {
  Checker checker{scenario, findings};
  for (size_t g = 0; g < scenario.groups.size(); ++g) {
    checker.group(scenario.groups[g]);
    checker.same_ids(g);
  }
  for (const Stage& stage : scenario.stages) {
    double sends = 0;
    for (const Step& step : stage.steps) {
      checker.step(stage, step);
      if (const auto* publish = std::get_if<PublishStep>(&step.what)) sends += publish->rate.highest();
    }
    if (sends > kSendsLikely) {
      findings.warning(stage.place, fmt::format("stage \"{}\" asks for {} messages: more than one process "
                                                "is likely to send; --workers and --agent spread them",
                                                stage.name, format_rate(sends)));
    }
    if (stage.duration_ms == 0) {
      findings.warning(stage.place, fmt::format("stage \"{}\" lasts no time", stage.name));
    }
    if (!stage.duration_ms && !stage.until && stage.steps.empty()) {
      findings.warning(stage.place, fmt::format("stage \"{}\" does nothing", stage.name));
    }
    if (stage.until && !stage.timeout_ms && !stage.duration_ms) {
      findings.warning(
          stage.place,
          fmt::format("stage \"{}\" waits for ever if `until` never holds: give it a timeout", stage.name));
    }
    if (stage.timeout_ms && !stage.until) {
      findings.error(stage.place,
                     fmt::format("stage \"{}\" has a timeout and no `until` to wait for", stage.name));
    }
  }
  for (size_t i = 0; i < scenario.groups.size(); ++i) {
    if (!checker.connected[i]) {
      findings.warning(scenario.groups[i].place,
                       fmt::format("group \"{}\" is never connected", scenario.groups[i].name));
    }
  }
  for (const Threshold& threshold : scenario.thresholds) checker.threshold(threshold);
  if (scenario.target.brokers.empty()) findings.error({}, "target names no broker");
  const auto secured = [](const Broker& broker) { return client::over_tls(broker.scheme); };
  if (scenario.target.tls.place.line != 0 && std::ranges::none_of(scenario.target.brokers, secured)) {
    findings.error(scenario.target.tls.place,
                   "\"tls\" is for brokers with mqtts:// or wss://, and none has that");
  }
}

}  // namespace courier::load
