#include "courier/probe/round_trips.h"

#include <algorithm>
#include <vector>

#include "client/errc.h"

namespace courier::cli::probe {

using client::Callbacks;
using client::Client;

Result<RoundTripTimes> measure_round_trips(const client::ClientSetup& publisher,
                                           const client::ClientSetup& subscriber, const std::string& topic,
                                           client::Qos qos, size_t count, MonoNs deadline) {
  auto loop = client::ClientLoop::open();
  if (!loop) return fail(std::move(loop).error());
  std::optional<client::Ending> ended;
  bool subscribed = false, refused = false;
  size_t received = 0;
  Callbacks on;
  on.disconnected = [&](Client&, const client::Ending& ending, std::optional<int64_t>) { ended = ending; };
  on.subscribed = [&](Client&, const client::Completion& completion) {
    subscribed = true;
    refused = !completion.ok();
  };
  on.message = [&](Client&, const mqtt::Publish&) { ++received; };
  Client from(**loop, publisher, on), to(**loop, subscriber, on);
  const auto run_until = [&](const auto& condition) {
    while (!condition() && !ended) {
      const MonoNs left = deadline - system_clock().mono_ns();
      if (left <= 0) return false;
      (*loop)->run_once(left);
    }
    return !ended;
  };
  const auto why = [&](const char* what) {
    if (ended) return fail(Error(ended->code, ended->message));
    return fail(client::errc::timed_out, what);
  };
  for (Client* each : {&from, &to}) {
    if (auto opened = each->open(); !opened) return fail(std::move(opened).error());
  }
  if (!run_until([&] { return from.online() && to.online(); })) return why("no connection in time");
  if (auto asked = to.subscribe({{.filter = topic, .options = {.qos = qos}}}); !asked) {
    return fail(std::move(asked).error());
  }
  if (!run_until([&] { return subscribed; })) return why("no SUBACK in time");
  if (refused) return fail(client::errc::not_supported, "the subscription was refused");

  std::vector<double> times;
  times.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const MonoNs began = system_clock().mono_ns();
    if (auto sent = from.publish({.topic = topic, .payload = std::string(64, 'x'), .qos = qos}); !sent) {
      return fail(std::move(sent).error());
    }
    if (!run_until([&] { return received > i; })) break;
    times.push_back(static_cast<double>(system_clock().mono_ns() - began) * 1e-6);
    if (!run_until([&] { return from.unfinished() == 0; })) break;  // the next one finds an idle server
  }
  if (times.empty()) return why("no message arrived in time");
  from.close();
  to.close();
  const MonoNs farewell = std::min(deadline, system_clock().mono_ns() + kNsPerSecond);
  while ((from.state() != Client::State::closed || to.state() != Client::State::closed) &&
         system_clock().mono_ns() < farewell) {
    (*loop)->run_once(farewell - system_clock().mono_ns());
  }
  std::ranges::sort(times);
  return RoundTripTimes{times.size(), times[times.size() / 2], times[times.size() * 99 / 100]};
}

}  // namespace courier::cli::probe
