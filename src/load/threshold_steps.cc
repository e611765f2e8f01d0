#include "load/threshold_steps.h"

#include <algorithm>

#include "load/metrics.h"

namespace courier::load {

namespace {

bool connects(const Step& step) {
  return std::holds_alternative<ConnectStep>(step.what) || std::holds_alternative<FlapStep>(step.what);
}

bool connects_subscriber(const Scenario& scenario, const Step& step) {
  const auto subscribes = [&](size_t g) { return !scenario.groups[g].subscribe.empty(); };
  if (const auto* connect = std::get_if<ConnectStep>(&step.what)) {
    return std::any_of(connect->groups.begin(), connect->groups.end(), subscribes);
  }
  const auto* flap = std::get_if<FlapStep>(&step.what);
  return flap != nullptr && subscribes(flap->group);
}

bool publishes(const Step& step) {
  return std::holds_alternative<PublishStep>(step.what);
}

bool is_answered_with_acknowledgement(const Scenario& scenario) {
  const auto acknowledged = [](const Reaction& each) { return each.qos != mqtt::Qos::at_most_once; };
  return std::any_of(scenario.groups.begin(), scenario.groups.end(), [&](const Group& group) {
    return std::any_of(group.on_message.begin(), group.on_message.end(), acknowledged);
  });
}

// The steps that a threshold looks at.
struct Steps {
  const Scenario& scenario;
  const Threshold& threshold;

  template <typename Wanted>
  bool any(size_t first, size_t last, const Wanted& wanted) const {
    for (size_t s = first; s <= last && s < scenario.stages.size(); ++s) {
      const std::vector<Step>& steps = scenario.stages[s].steps;
      if (std::any_of(steps.begin(), steps.end(), wanted)) return true;
    }
    return false;
  }
  size_t last() const { return threshold.stage.value_or(scenario.stages.size()); }
  // In its stage.
  template <typename Wanted>
  bool here(const Wanted& wanted) const {
    return any(threshold.stage.value_or(0), last(), wanted);
  }
  // Or in one before: what was sent then may arrive now.
  template <typename Wanted>
  bool by_now(const Wanted& wanted) const {
    return any(0, last(), wanted);
  }
};

std::string_view missing_for(const Steps& steps, Latency metric) {
  const Scenario& scenario = steps.scenario;
  switch (metric) {
    case Latency::connect_tcp:
    case Latency::connect_connack:
      return steps.here(connects) ? "" : "connects clients";
    case Latency::subscribe_suback: {
      const auto wanted = [&](const Step& step) { return connects_subscriber(scenario, step); };
      return steps.here(wanted) ? "" : "connects clients that subscribe";
    }
    case Latency::publish_ack: {
      const bool answers = is_answered_with_acknowledgement(scenario);
      const auto wanted = [&](const Step& step) {
        const auto* publish = std::get_if<PublishStep>(&step.what);
        return publish != nullptr && (answers || publish->qos != mqtt::Qos::at_most_once);
      };
      return steps.by_now(wanted) ? "" : "publishes with QoS 1 or 2";
    }
    case Latency::delivery_e2e:
      return steps.by_now(publishes) ? "" : "publishes";
    case Latency::delivery_catch_up:
      if (!steps.by_now(publishes)) return "publishes";
      return steps.here(connects) ? "" : "brings clients back";
    case Latency::reply_rtt: {
      const auto wanted = [](const Step& step) {
        const auto* publish = std::get_if<PublishStep>(&step.what);
        return publish != nullptr && publish->expect_reply;
      };
      return steps.by_now(wanted) ? "" : "publishes and expects a reply";
    }
    case Latency::generator_lag:
      return steps.here(connects) || steps.by_now(publishes) ? "" : "connects or publishes";
  }
  return {};
}

std::string_view missing_for(const Steps& steps, Ratio metric) {
  switch (metric) {
    case Ratio::connect_ok_ratio:
      return missing_for(steps, Latency::connect_connack);
    case Ratio::publish_ack_ratio:
      return missing_for(steps, Latency::publish_ack);
    case Ratio::delivery_ratio:
      return missing_for(steps, Latency::delivery_e2e);
    case Ratio::reply_ratio:
      return missing_for(steps, Latency::reply_rtt);
  }
  return {};
}

}  // namespace

std::string_view missing_step(const Scenario& scenario, const Threshold& threshold) {
  const Steps steps{scenario, threshold};
  if (const auto metric = latency_named(threshold.metric)) return missing_for(steps, *metric);
  if (const auto metric = ratio_named(threshold.metric)) return missing_for(steps, *metric);
  return {};
}

}  // namespace courier::load
