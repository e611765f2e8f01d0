#include "admission/admission.h"

#include <algorithm>

#include "admission/seeded_hash.h"

namespace courier::admission {

namespace {

double burst_of(double burst, double per_second) {
  return std::max(1.0, burst != 0 ? burst : per_second);
}

}  // namespace

std::string_view name(Limit limit) {
  switch (limit) {
    case Limit::none:
      return "none";
    case Limit::banned:
      return "banned";
    case Limit::rate:
      return "rate";
    case Limit::source_rate:
      return "source_rate";
    case Limit::source_connections:
      return "source_connections";
    case Limit::source_strangers:
      return "source_strangers";
  }
  return "";
}

std::string_view setting(Limit limit) {
  switch (limit) {
    case Limit::none:
      return "";
    case Limit::banned:
      return "courier ban ls";
    case Limit::rate:
      return "admission.connects_per_second";
    case Limit::source_rate:
      return "admission.source_connects_per_second";
    case Limit::source_connections:
      return "admission.source_connections_max";
    case Limit::source_strangers:
      return "admission.source_strangers_max";
  }
  return "";
}

// A rate that is off is one that is never asked.
Admission::Rules::Rules(const Options& from)
    : options(from),
      all(from.connects_per_second != 0 ? from.connects_per_second : 1,
          burst_of(from.connects_burst, from.connects_per_second)),
      source(from.source_connects_per_second != 0 ? from.source_connects_per_second : 1,
             burst_of(from.source_connects_burst, from.source_connects_per_second)) {}

Admission::Admission(const Options& options, Bans* bans, Registry& registry)
    : seed_(fresh_seed()),
      bans_(bans),
      rules_(std::make_shared<const Rules>(options)),
      delayed_(registry.gauge("courier_admission_waiting",
                              "Connections that are not read until their turn in the rate of new ones.")),
      delays_(registry.counter("courier_admission_delayed_total",
                               "Connections that had to wait for their turn in the rate of new ones.")),
      places_(std::make_unique<Place[]>(kSourcePlaces)) {}

void Admission::use(const Options& options) {
  rules_.store(std::make_shared<const Rules>(options));
}

uint16_t Admission::place_of(const net::SocketAddress& client, const Options& options) const {
  char bytes[16];
  const auto ip = client.ip_bytes();
  const unsigned bits = ip.size() == 4 ? options.source_prefix_v4 : options.source_prefix_v6;
  for (size_t i = 0; i < ip.size(); ++i) {
    const unsigned left = bits > 8 * i ? std::min<unsigned>(8, bits - static_cast<unsigned>(8 * i)) : 0;
    bytes[i] = static_cast<char>(ip[i] & (0xFF00 >> left) & 0xFF);
  }
  return static_cast<uint16_t>(seeded_hash(seed_, {bytes, ip.size()}) % kSourcePlaces);
}

Arrival Admission::refused(Limit limit, bool may_tell, MonoNs now) {
  const bool told = may_tell && told_.try_take(1, now);
  return {.verdict = told ? Verdict::tell : Verdict::close, .limit = limit};
}

Arrival Admission::arrive(const net::SocketAddress& client, bool may_tell, MonoNs now) {
  if (bans_ && bans_->has_addresses() && bans_->find(client)) {
    bans_->hit(BanTarget::Kind::address);
    return {.verdict = Verdict::close, .limit = Limit::banned};
  }
  const std::shared_ptr<const Rules> rules = rules_.load();
  const Options& options = rules->options;
  Arrival arrival;
  Place* place = nullptr;
  if (client.is_ip()) {
    arrival.source = place_of(client, options);
    place = &places_[arrival.source];
    // Two that come at once may both find the last place free: one too many, and not one too few.
    if (options.source_strangers_max != 0 &&
        place->strangers.load(std::memory_order_relaxed) >= options.source_strangers_max) {
      return {.verdict = Verdict::close, .limit = Limit::source_strangers};
    }
    if (options.source_connections_max != 0 &&
        place->connections.load(std::memory_order_relaxed) >= options.source_connections_max) {
      arrival = refused(Limit::source_connections, may_tell, now);
    }
  }
  const MonoNs wait_max =
      waiting_.load(std::memory_order_relaxed) < options.delayed_max ? options.delay_max_ns : 0;
  // The source's own rate first: what it has too many of takes nothing from the others.
  if (arrival.verdict == Verdict::admit && place && options.source_connects_per_second != 0) {
    const auto wait = rules->source.take_within(place->rate, 1, now, wait_max);
    if (wait) {
      arrival.wait = *wait;
      if (*wait > 0) arrival.limit = Limit::source_rate;
    } else {
      arrival = refused(Limit::source_rate, may_tell, now);
    }
  }
  if (arrival.verdict == Verdict::admit && options.connects_per_second != 0) {
    const auto wait = rules->all.take_within(all_, 1, now, wait_max);
    if (!wait) {
      arrival = refused(Limit::rate, may_tell, now);
    } else if (*wait > arrival.wait) {
      arrival.wait = *wait;
      arrival.limit = Limit::rate;
    }
  }
  if (arrival.verdict == Verdict::close) return arrival;
  if (arrival.verdict == Verdict::admit && arrival.wait > 0) {
    arrival.verdict = Verdict::delay;
    waiting_.fetch_add(1, std::memory_order_relaxed);
    delayed_.add(1);
    delays_.add();
  }
  if (place) {
    arrival.source = static_cast<uint16_t>(place - places_.get());
    arrival.counted = true;
    place->connections.fetch_add(1, std::memory_order_relaxed);
    place->strangers.fetch_add(1, std::memory_order_relaxed);
  }
  return arrival;
}

void Admission::settled(uint16_t source) {
  places_[source].strangers.fetch_sub(1, std::memory_order_relaxed);
}

void Admission::left(uint16_t source, bool settled) {
  places_[source].connections.fetch_sub(1, std::memory_order_relaxed);
  if (!settled) places_[source].strangers.fetch_sub(1, std::memory_order_relaxed);
}

uint32_t Admission::strangers(const net::SocketAddress& client) const {
  return places_[place_of(client, rules_.load()->options)].strangers.load(std::memory_order_relaxed);
}

uint32_t Admission::connections(const net::SocketAddress& client) const {
  return places_[place_of(client, rules_.load()->options)].connections.load(std::memory_order_relaxed);
}

}  // namespace courier::admission
