#include "load_flow.h"

#include <algorithm>
#include <cstdio>

namespace courier::bench {
namespace {

constexpr uint64_t kQuietNsMax = 120'000'000'000;
constexpr uint64_t kTickNs = 200'000;
constexpr double kQuietS = 1.2;  // longer than what brokers do now and then is apart
constexpr double kQuietCpuUs = 30'000;

// The first bytes of a payload.
struct Stamp {
  uint32_t publisher;
  uint32_t number;
  uint64_t sent_ns;
};

uint64_t copies_of(Shape shape, const LoadOptions& options) {
  switch (shape) {
    case Shape::pairs:
    case Shape::shared:
      return 1;
    case Shape::all:
      return options.subscribers;
  }
  return 1;
}

}  // namespace

Flow::Flow(const LoadOptions& options, Shape shape)
    : Load(options), shape_(shape), copies_(copies_of(shape, options)) {
  if (options.payload_bytes < sizeof(Stamp)) fail("the payload is too small for its stamp");
  for (size_t i = 0; i < options.publishers; ++i) {
    Publisher& publisher = publishers_.emplace_back();
    publisher.peer.index = static_cast<uint32_t>(i);
    const uint32_t destination = shape == Shape::pairs ? static_cast<uint32_t>(i) : 0;
    publisher.packet = publish_packet(destination, options.qos, options.payload_bytes);
    if (shape != Shape::shared) publisher.next.resize(shape == Shape::pairs ? 1 : options.subscribers);
  }
  for (size_t i = 0; i < options.subscribers; ++i) {
    Subscriber& subscriber = subscribers_.emplace_back();
    subscriber.peer.index = static_cast<uint32_t>(i);
    subscriber.peer.subscriber = true;
  }
}

std::string Flow::filter_of(uint32_t subscriber) const {
  switch (shape_) {
    case Shape::pairs:
      return topic_of(subscriber);
    case Shape::all:
      return topic_of(0);
    case Shape::shared:
      return "$share/group/" + topic_of(0);
  }
  return {};
}

void Flow::arrive_subscribers(bool clean, bool subscribe) {
  std::vector<Arrival> arrivals;
  for (Subscriber& subscriber : subscribers_) {
    const uint32_t index = subscriber.peer.index;
    arrivals.push_back({&subscriber.peer, "s" + topic_of(index), subscribe ? filter_of(index) : ""});
  }
  arrive(arrivals, clean, options_.qos);
}

void Flow::arrive_all() {
  arrive_subscribers(!options_.persistent, true);
  std::vector<Arrival> arrivals;
  for (Publisher& publisher : publishers_) {
    arrivals.push_back({&publisher.peer, "p" + topic_of(publisher.peer.index), ""});
  }
  arrive(arrivals, !options_.persistent, options_.qos);
}

void Flow::send_one(Publisher& publisher, uint64_t as_of) {
  const size_t size = publisher.packet.size();
  uint8_t* packet = publisher.peer.out.grow(size);
  std::memcpy(packet, publisher.packet.data(), size);
  if (options_.qos > 0) {
    const uint32_t id = 1 + publisher.sent % 65535;
    uint8_t* at = packet + publish_id_at(publisher.packet);
    at[0] = static_cast<uint8_t>(id >> 8);
    at[1] = static_cast<uint8_t>(id);
  }
  const Stamp stamp{publisher.peer.index, publisher.sent++, as_of};
  std::memcpy(packet + size - options_.payload_bytes, &stamp, sizeof stamp);
  will_write(publisher.peer);
}

void Flow::send_window(Publisher& publisher) {
  for (unsigned i = 0; i < options_.window; ++i) send_one(publisher, now_);
}

bool Flow::complete(const Publisher& publisher) const {
  return (away_ || publisher.delivered == publisher.sent * copies_) &&
         (options_.qos == 0 || publisher.acknowledged == publisher.sent);
}

void Flow::on_delivery(Peer& peer, const Frame& frame) {
  if (!peer.subscriber) fail("a publisher was sent a message");
  Stamp stamp{};
  std::memcpy(&stamp, frame.end - options_.payload_bytes, sizeof stamp);
  if (stamp.publisher >= publishers_.size()) fail("a message that nobody sent");
  Publisher& publisher = publishers_[stamp.publisher];
  if (shape_ == Shape::shared) {
    if (publisher.seen.size() <= stamp.number) publisher.seen.resize(stamp.number + 4096);
    if (publisher.seen[stamp.number]) fail("a message came twice");
    publisher.seen[stamp.number] = true;
  } else {
    uint32_t& next = publisher.next[shape_ == Shape::pairs ? 0 : peer.index];
    if (stamp.number != next) fail(stamp.number < next ? "a message came twice" : "a message is missing");
    ++next;
  }
  if (frame.qos() > 0) {
    append_ack(peer.out, frame.qos() == 1 ? Packet::puback : Packet::pubrec, frame.body + 2 + kTopicBytes);
    will_write(peer);
  }
  if (frame.qos() != options_.qos) fail("a message came with another QoS");
  latencies_.add((now_ - std::min(now_, stamp.sent_ns)) / 1000);
  ++delivered_;
  ++publisher.delivered;
  if (sending_ && complete(publisher)) send_window(publisher);
}

void Flow::on_acknowledged(Publisher& publisher) {
  ++publisher.acknowledged;
  if (sending_ && complete(publisher)) send_window(publisher);
}

void Flow::on_frame(Peer& peer, const Frame& frame) {
  switch (frame.packet()) {
    case Packet::publish:
      return on_delivery(peer, frame);
    case Packet::puback:
    case Packet::pubcomp:
      return on_acknowledged(publishers_[peer.index]);
    case Packet::pubrec:
      append_ack(peer.out, Packet::pubrel, frame.body);
      return will_write(peer);
    case Packet::pubrel:
      append_ack(peer.out, Packet::pubcomp, frame.body);
      return will_write(peer);
    case Packet::connect:
    case Packet::connack:
    case Packet::subscribe:
    case Packet::suback:
    case Packet::unsubscribe:
    case Packet::unsuback:
    case Packet::pingreq:
    case Packet::pingresp:
    case Packet::disconnect:
      break;
  }
  fail("an unexpected packet, type " + std::to_string(*frame.begin >> 4));
}

// Sends what is due and says how long nothing will be. Not less than a tick: often enough to be on time,
// seldom enough to leave the cores to the broker.
uint64_t Flow::send_due(uint64_t began) {
  const double spacing_ns = 1e9 / options_.rate;
  const auto due_at = [&](uint64_t message) {
    return began + static_cast<uint64_t>(static_cast<double>(message) * spacing_ns);
  };
  // As of when it should have left: a generator that comes late does not hide a broker that keeps it waiting.
  for (; due_at(due_sent_) <= now_; ++due_sent_) {
    send_one(publishers_[due_sent_ % publishers_.size()], due_at(due_sent_));
  }
  return std::max(due_at(due_sent_) - now_, kTickNs);
}

void Flow::measure(double seconds, bool counted) {
  const uint64_t began = now_ns();
  const uint64_t until = began + static_cast<uint64_t>(seconds * 1e9);
  now_ = began;
  due_sent_ = 0;
  if (counted) latencies_.clear();
  while (now_ < until) {
    turn(options_.rate > 0 ? send_due(began) : 10 * kMillisecond);
  }
}

uint64_t Flow::patience_ends() const {
  return now_ns() + static_cast<uint64_t>(options_.wait_s * 1e9);
}

void Flow::drain(const char* what) {
  sending_ = false;
  const uint64_t until = patience_ends();
  const auto done = [&] {
    return std::all_of(publishers_.begin(), publishers_.end(),
                       [&](const Publisher& one) { return complete(one); });
  };
  while (!done()) {
    if (now_ > until) fail(std::string("not everything was delivered and acknowledged: ") + what);
    turn(10 * kMillisecond);
  }
  turns_for(0.1);  // one that comes twice comes now
  if (!done()) fail("more came than was sent");
}

void Flow::on_closed(Peer& peer) {
  if (!away_ || !peer.subscriber) return Load::on_closed(peer);
  close_peer(peer);
}

void Flow::leave() {
  away_ = true;
  for (Subscriber& subscriber : subscribers_) write(subscriber.peer, {"\xe0\0", 2});
  const uint64_t until = patience_ends();
  const auto gone = [&] {
    return std::all_of(subscribers_.begin(), subscribers_.end(),
                       [](const Subscriber& one) { return one.peer.fd < 0; });
  };
  while (!gone()) {
    if (now_ > until) fail("a subscriber that took its leave was not closed");
    turn(10 * kMillisecond);
  }
}

// What a broker puts off (its checkpoint, records of acknowledgements) belongs to the messages before. Gives
// the CPU time up to when it rested.
double Flow::wait_until_quiet() {
  double used = broker_use(options_.broker_pid).cpu_us;
  for (const uint64_t until = now_ns() + kQuietNsMax; now_ < until;) {
    turns_for(kQuietS);
    const double now_used = broker_use(options_.broker_pid).cpu_us;
    if (now_used - used < kQuietCpuUs) return now_used;
    used = now_used;
  }
  fail("the broker does not come to rest");
}

void Flow::run() {
  arrive_all();
  sending_ = options_.rate == 0;
  now_ = now_ns();
  if (sending_) {
    for (Publisher& publisher : publishers_) send_window(publisher);
  }
  measure(options_.warmup_s, false);
  const BrokerUse before = broker_use(options_.broker_pid);
  const uint64_t delivered_before = delivered_;
  const uint64_t began = now_ns();
  measure(options_.seconds, true);
  const BrokerUse after = broker_use(options_.broker_pid);
  const double messages = static_cast<double>(delivered_ - delivered_before);
  const double seconds = static_cast<double>(now_ns() - began) / 1e9;
  const Latencies latencies = latencies_;
  drain("a run's end");
  if (messages == 0) fail("nothing was delivered");
  std::printf(
      "{\"valid\": true, \"messages\": %.0f, \"seconds\": %.3f, \"per_second\": %.0f, "
      "\"cpu_us\": %.4f, \"p50_us\": %llu, \"p99_us\": %llu, \"max_us\": %llu, "
      "\"connections\": %zu, \"rss_mb\": %.1f}\n",
      messages, seconds, messages / seconds, (after.cpu_us - before.cpu_us) / messages,
      static_cast<unsigned long long>(latencies.at(0.5)), static_cast<unsigned long long>(latencies.at(0.99)),
      static_cast<unsigned long long>(latencies.max_us()), publishers_.size() + subscribers_.size(),
      after.rss_bytes / 1e6);
}

void Flow::run_offline() {
  arrive_all();
  leave();
  wait_until_quiet();

  const double messages = static_cast<double>(options_.messages * publishers_.size());
  const BrokerUse before = broker_use(options_.broker_pid);
  const uint64_t began = now_ns();
  uint64_t until = patience_ends();
  for (Publisher& publisher : publishers_) send_window(publisher);
  for (bool more = true; more;) {
    turn(10 * kMillisecond);
    more = false;
    for (Publisher& publisher : publishers_) {
      if (complete(publisher) && publisher.sent < options_.messages) send_window(publisher);
      more = more || publisher.sent < options_.messages || !complete(publisher);
    }
    if (now_ > until) fail("storing took too long");
  }
  const double store_s = static_cast<double>(now_ns() - began) / 1e9;
  wait_until_quiet();
  const BrokerUse stored = broker_use(options_.broker_pid);

  away_ = false;
  const uint64_t back = now_ns();
  until = patience_ends();
  arrive_subscribers(false, false);
  while (delivered_ < static_cast<uint64_t>(messages)) {
    turn(10 * kMillisecond);
    if (now_ > until) fail("not everything that was stored came");
  }
  const double drain_s = static_cast<double>(now_ns() - back) / 1e9;
  wait_until_quiet();
  const BrokerUse drained = broker_use(options_.broker_pid);
  drain("what was stored");
  std::printf(
      "{\"valid\": true, \"messages\": %.0f, \"store_cpu_us\": %.4f, \"drain_cpu_us\": %.4f, "
      "\"store_seconds\": %.3f, \"drain_seconds\": %.3f, \"connections\": %zu, \"rss_mb\": %.1f}\n",
      messages, (stored.cpu_us - before.cpu_us) / messages, (drained.cpu_us - stored.cpu_us) / messages,
      store_s, drain_s, publishers_.size() + subscribers_.size(), drained.rss_bytes / 1e6);
}

void Flow::run_broadcast() {
  arrive_all();
  away_ = true;
  const double before = wait_until_quiet();
  const uint64_t began = now_ns();
  for (Publisher& publisher : publishers_) {
    for (size_t i = 0; i < options_.messages; ++i) send_one(publisher, began);
  }
  drain("a broadcast's acknowledgement");
  const double seconds = static_cast<double>(now_ns() - began) / 1e9;
  const double after = wait_until_quiet();
  std::printf(
      "{\"valid\": true, \"messages\": %zu, \"cpu_us_all\": %.0f, \"seconds\": %.3f, \"rss_mb\": %.1f}\n",
      options_.messages * publishers_.size(), after - before, seconds,
      broker_use(options_.broker_pid).rss_bytes / 1e6);
}

}  // namespace courier::bench
