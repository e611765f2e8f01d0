#include "load/estimate.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include <fmt/format.h>

#include "load/audience.h"
#include "load/run.h"
#include "load/sources.h"

namespace courier::load {

namespace {

// Measured over loopback on two cores of a small VM. Other machines differ; it is an estimate.
constexpr double kCpuUsPerMessage = 35;  // sent and received one to one with QoS 1: tools/bench-load
constexpr double kCpuUsPerConnect = 100;
constexpr double kBytesPerClient = 3'000;
constexpr double kBytesPerAwaited = 100;
constexpr uint64_t kPortsUsual = 28'232;

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return "no end";
  if (seconds >= 120)
    return fmt::format("{:.0f} min {:.0f} s", std::floor(seconds / 60), std::fmod(seconds, 60));
  return fmt::format("{:.4g} s", seconds);
}

std::string amount(double number) {
  if (number >= 10e6) return fmt::format("{:.3g} million", number / 1e6);
  return fmt::format("{:.0f}", number);
}

std::string bytes(double number) {
  if (number >= 1e9) return fmt::format("{:.3g} GB", number / 1e9);
  if (number >= 1e6) return fmt::format("{:.3g} MB", number / 1e6);
  return fmt::format("{:.3g} KB", number / 1e3);
}

uint64_t ports_per_source() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  uint64_t first = 0, last = 0;
  return file >> first >> last && last >= first ? last - first + 1 : kPortsUsual;
}

// How many clients get one message of a step, at most: subscriptions of all groups, the shared ones once.
double receivers_of(const Audience& audience, const PublishStep& step) {
  std::vector<Audience::Receivers> found;
  std::string scratch;
  audience.of(step.topic.fill({.number = 0, .pick = 0, .sequence = 1}), found, scratch);
  double sum = 0;
  for (const Audience::Receivers& each : found)
    sum += each.share == Audience::Receivers::kNoShare ? each.count : 1;
  return sum;
}

struct StageCost {
  double seconds = 0, connects = 0, sent = 0, delivered = 0, answers = 0, peak_rate = 0;
};

StageCost cost_of(const Scenario& scenario, const Audience& audience, const Stage& stage) {
  StageCost cost;
  if (stage.duration_ms) {
    cost.seconds = static_cast<double>(*stage.duration_ms) / 1e3;
  } else {
    for (const Step& step : stage.steps) {
      if (const auto* connect = std::get_if<ConnectStep>(&step.what)) {
        cost.seconds = std::max(cost.seconds, static_cast<double>(connect->over_ms) / 1e3);
      } else if (const auto* disconnect = std::get_if<DisconnectStep>(&step.what)) {
        cost.seconds = std::max(cost.seconds, static_cast<double>(disconnect->over_ms) / 1e3);
      } else if (const auto* publish = std::get_if<PublishStep>(&step.what)) {
        cost.seconds =
            std::max(cost.seconds,
                     publish->count ? publish->rate.time_of(static_cast<double>(*publish->count)) : HUGE_VAL);
      } else if (std::holds_alternative<FlapStep>(step.what)) {
        cost.seconds = HUGE_VAL;
      }
    }
    if (!std::isfinite(cost.seconds) && stage.timeout_ms)
      cost.seconds = static_cast<double>(*stage.timeout_ms) / 1e3;
  }
  const double lasts = std::isfinite(cost.seconds) ? cost.seconds : 0;
  for (const Step& step : stage.steps) {
    if (const auto* connect = std::get_if<ConnectStep>(&step.what)) {
      for (const size_t g : connect->groups) cost.connects += static_cast<double>(scenario.groups[g].count);
    } else if (const auto* publish = std::get_if<PublishStep>(&step.what)) {
      double sent = publish->rate.events_until(lasts);
      if (publish->count) sent = std::min(sent, static_cast<double>(*publish->count));
      cost.sent += sent;
      cost.delivered += sent * receivers_of(audience, *publish);
      if (publish->expect_reply) cost.answers += sent;
      cost.peak_rate += publish->rate.highest();
    } else if (const auto* flap = std::get_if<FlapStep>(&step.what)) {
      const double cycle =
          static_cast<double>(flap->up.from_ms + flap->up.to_ms + flap->down.from_ms + flap->down.to_ms) /
          2e3;
      if (cycle > 0)
        cost.connects +=
            static_cast<double>(scenario.groups[flap->group].count) * flap->share * lasts / cycle;
    }
  }
  return cost;
}

}  // namespace

std::string estimate(const Scenario& scenario) {
  std::string out;
  const auto line = [&](std::string_view what, const std::string& text) {
    out += fmt::format("{:<14}{}\n", what, text);
  };
  const Audience audience(scenario);
  StageCost all;
  double busiest_cpu = 0;
  for (const Stage& stage : scenario.stages) {
    const StageCost cost = cost_of(scenario, audience, stage);
    std::string text = duration(cost.seconds);
    if (cost.connects > 0) text += fmt::format(", {} connects", amount(cost.connects));
    if (cost.sent > 0) {
      text += fmt::format(", {} messages ({}), {} deliveries", amount(cost.sent), format_rate(cost.peak_rate),
                          amount(cost.delivered));
    }
    if (cost.answers > 0) text += fmt::format(", {} answers", amount(cost.answers));
    line("  " + stage.name, text);
    all.seconds += cost.seconds;
    all.connects += cost.connects;
    all.sent += cost.sent;
    all.delivered += cost.delivered;
    if (cost.seconds > 0 && std::isfinite(cost.seconds)) {
      const double messages = (cost.sent + cost.delivered) / 2 + cost.answers;
      busiest_cpu = std::max(
          busiest_cpu, (messages * kCpuUsPerMessage + cost.connects * kCpuUsPerConnect) / 1e6 / cost.seconds);
    }
  }
  const auto clients = static_cast<double>(scenario.clients());
  const uint32_t workers = workers_needed(scenario);
  line("in all", fmt::format("{}, {} messages, {} deliveries", duration(all.seconds), amount(all.sent),
                             amount(all.delivered)));
  line("connections", fmt::format("{} at once, so {} worker process{} on a machine like this",
                                  amount(clients), workers, workers == 1 ? "" : "es"));
  const auto addresses = parse_sources(scenario.target.sources);
  const double sources = static_cast<double>(addresses && !addresses->empty() ? addresses->size() : 1);
  const double ports = static_cast<double>(ports_per_source());
  const double per_broker =
      clients / sources / static_cast<double>(std::max<size_t>(1, scenario.target.brokers.size()));
  line("ports", fmt::format("{:.0f} of the {:.0f} that each source address has{}", per_broker, ports,
                            per_broker > ports ? ": too few; name more addresses under target.sources" : ""));
  line("generator",
       fmt::format("about {:.{}f} cores in the busiest stage, {} of memory", busiest_cpu,
                   busiest_cpu < 1    ? 2
                   : busiest_cpu < 10 ? 1
                                      : 0,
                   bytes(clients * kBytesPerClient + all.delivered * 0.01 * kBytesPerAwaited + 20e6)));
  return out;
}

}  // namespace courier::load
