// What a worker's clients send and hear, and how it is held against what was promised.
#include <fmt/format.h>

#include "load/limits.h"
#include "load/worker.h"
#include "mqtt/topic.h"

namespace courier::load {

namespace {

constexpr uint64_t pair_of(uint32_t high, uint64_t low) {
  return uint64_t{high} << 40 ^ low;
}

// The stream of a topic at one QoS: order is promised for each by itself.
uint32_t stream_at(std::string_view topic, mqtt::Qos qos) {
  return (stream_of(topic) & ~3u) | static_cast<uint32_t>(qos);
}

}  // namespace

// Sends one message; false when the client did not take it. `filler` is the payload when `text` is empty.
bool Worker::send(uint32_t local, const TextTemplate& topic, const TextTemplate& text,
                  const std::string& filler, mqtt::Qos qos, bool retain, const TextTemplate::Values& values,
                  int64_t due_us) {
  last_id_.reset();
  outgoing_.topic.clear();
  topic.append_to(outgoing_.topic, values);
  outgoing_.qos = qos;
  outgoing_.retain = retain;
  const bool tracked = text.empty() || text.uses(TextTemplate::Slot::own_id);
  Published published;
  published.qos = qos;
  if (tracked) {
    const uint32_t stream = stream_at(outgoing_.topic, qos);
    const ClientNumber publisher = number_of(local);
    uint32_t& sequence = sequences_[uint64_t{local} << 32 | stream];
    published.id = {part_.run, publisher, stream, ++sequence, due_us};
    last_id_ = published.id;
  }
  if (text.empty()) {
    outgoing_.payload = filler;
    stamp(outgoing_.payload, published.id);
  } else {
    TextTemplate::Values filled = values;
    std::string own;
    if (tracked) filled.own_id = own = id_text(published.id);
    outgoing_.payload.clear();
    text.append_to(outgoing_.payload, filled);
  }
  client::Client& client = *players_[local].client;
  const auto request = client.publish(outgoing_);
  if (!request) {
    Tally& tally = this->tally(due_us);
    ++tally[Count::publish_unsent];
    tally.add_reason("publish: " + request.error().code.message());
    if (tracked) --sequences_[uint64_t{local} << 32 | published.id.stream];
    last_id_.reset();
    return false;
  }
  Tally& tally = this->tally(due_us);
  ++tally[Count::publish_sent];
  if (qos == mqtt::Qos::at_most_once) ++tally[Count::publish_sent_qos0];
  published.sent_us = now_us();
  published.tracked = tracked;
  published.due_us = due_us;
  if (tracked) {
    receivers_.clear();
    audience_.of(outgoing_.topic, receivers_, scratch_);
    published.receivers = receivers_;
  }
  if (qos == mqtt::Qos::at_most_once) {
    if (!tracked) return true;
    unacknowledged_.push_back(
        {published.sent_us + kUnacknowledgedUs, local, players_[local].connections, std::move(published)});
  } else {
    published_.insert_or_assign(pair_of(local, request->value), std::move(published));
  }
  return true;
}

void Worker::on_published(client::Client& client, const client::Completion& completion) {
  const auto it = published_.find(pair_of(local_of(client), completion.request.value));
  if (it == published_.end()) return;
  const Published published = std::move(it->second);
  published_.erase(it);
  Tally& tally = this->tally(published.due_us);
  if (!completion.ok()) {
    // An error is not the broker's word, but what became of the connection.
    ++tally[completion.error ? Count::publish_unanswered : Count::publish_refused];
    tally.add_reason("publish: " + (completion.error ? completion.error.message()
                                                     : std::string(mqtt::name(completion.reason))));
    return;
  }
  ++tally[Count::publish_acked];
  tally[Latency::publish_ack].record((now_us() - published.due_us) * 1000);
  if (published.tracked) promise(published);
}

void Worker::promise(const Published& published) {
  for (const Audience::Receivers& each : published.receivers) {
    const mqtt::Qos qos = mqtt::lower(published.qos, each.qos);
    if (each.share != Audience::Receivers::kNoShare) {
      promise_here(share_receiver(each.share), published.id, qos, published.sent_us);
      continue;
    }
    for (ClientNumber client = each.first; client < each.first + each.count; ++client) {
      const uint32_t worker = worker_of(client);
      if (worker == part_.index) {
        promise_here(local_of(client), published.id, qos, published.sent_us);
      } else {
        letters_[worker].promises.push_back({client, published.id, qos, published.sent_us});
      }
    }
  }
}

void Worker::promise_here(uint32_t receiver, const MessageId& id, mqtt::Qos qos, int64_t sent_us) {
  Tally& tally = this->tally(id.due_us);
  switch (ledger_.promise(receiver, id, qos, sent_us)) {
    case Ledger::Promise::owed:
      ++tally[Count::delivery_expected];
      break;
    case Ledger::Promise::kept:
      ++tally[Count::delivery_expected];
      ++tally[Count::delivery_received];
      break;
    case Ledger::Promise::not_owed:
      break;
  }
}

void Worker::on_message(client::Client& client, const mqtt::Publish& publish) {
  const uint32_t local = local_of(client);
  const int64_t now = now_us();
  const auto stamp = find_stamp(publish.payload);
  if (!stamp || stamp->id.run != part_.run || stamp->id.publisher >= audience_.clients()) {
    ++tally(now)[stamp && stamp->damaged ? Count::delivery_damaged : Count::delivery_foreign];
  } else if (stamp->damaged) {
    ++tally(now)[Count::delivery_damaged];
  } else if (publish.retain) {
    // The topic's latest, because somebody subscribed: owed to nobody, and no second delivery.
  } else if ((stamp->id.stream & ~3u) != (stream_of(publish.topic) & ~3u)) {
    // An id under another topic than its own: somebody answers that message.
    if (worker_of(stamp->id.publisher) == part_.index) {
      replied(stamp->id, now);
    } else {
      letters_[worker_of(stamp->id.publisher)].replies.push_back({stamp->id, now});
    }
  } else {
    arrived(local, publish, *stamp, now);
  }
  react(local, publish, stamp, now);
}

void Worker::arrived(uint32_t local, const mqtt::Publish& publish, const Stamp& stamp, int64_t now) {
  const ClientNumber number = number_of(local);
  const auto member = audience_.member(number);
  receivers_.clear();
  audience_.of(publish.topic, receivers_, scratch_);
  // A client with a subscription of its own and a share in another gets a copy for each; which is for which
  // it does not hear, and it makes no difference: the first goes to that which has none yet.
  const uint32_t home = worker_of(stamp.id.publisher);
  std::optional<Audience::Receivers> own, share;
  for (const Audience::Receivers& each : receivers_) {
    if (each.share == Audience::Receivers::kNoShare) {
      if (number >= each.first && number < each.first + each.count) own = each;
      continue;
    }
    if (share && (home != part_.index || !ledger_.has_arrived(share_receiver(share->share), stamp.id)))
      continue;
    for (size_t s = 0; s < scenario_.groups[member.group].subscribe.size(); ++s) {
      if (audience_.share_of(member.group, s) == each.share) share = each;
    }
  }
  if (own && (!share || !ledger_.has_arrived(local, stamp.id))) {
    note(ledger_.arrived(local, stamp.id, now, own->matching), stamp.id, now, players_[local].back_us);
  } else if (share && home == part_.index) {
    note(ledger_.arrived(share_receiver(share->share), stamp.id, now), stamp.id, now);
  } else if (share) {
    letters_[home].arrivals.push_back({share->share, stamp.id, now});
  } else {
    ++tally(stamp.id.due_us)[Count::delivery_unexpected];
  }
}

void Worker::note(const Ledger::Arrival& arrival, const MessageId& id, int64_t at_us, int64_t back_us) {
  Tally& tally = this->tally(id.due_us);
  if (arrival.excused) ++tally[Count::delivery_excused];
  if (arrival.copy) return;
  if (arrival.duplicate) {
    ++tally[Count::delivery_duplicates];
    return;
  }
  if (arrival.out_of_order) ++tally[Count::delivery_out_of_order];
  if (arrival.kept) ++tally[Count::delivery_received];
  // What was due while the receiver was away says how long it was away, and nothing about the broker.
  if (back_us > id.due_us) {
    this->tally(back_us)[Latency::delivery_catch_up].record((at_us - back_us) * 1000);
  } else {
    tally[Latency::delivery_e2e].record((at_us - id.due_us) * 1000);
  }
}

void Worker::replied(const MessageId& id, int64_t at_us) {
  const auto awaited = replies_.find(reply_key(id));
  if (awaited == replies_.end()) return;  // nobody asked for one, or it came before
  Tally& tally = this->tally(awaited->second.due_us);
  if (at_us <= awaited->second.until_us) {
    ++tally[Count::reply_received];
    tally[Latency::reply_rtt].record((at_us - awaited->second.due_us) * 1000);
  } else {
    ++tally[Count::reply_missing];
  }
  replies_.erase(awaited);
}

void Worker::react(uint32_t local, const mqtt::Publish& publish, const std::optional<Stamp>& stamp,
                   int64_t now) {
  Player& player = players_[local];
  const auto member = audience_.member(number_of(local));
  const Group& group = scenario_.groups[member.group];
  if (group.read_delay.median_ms > 0) {
    const double part = derived_part(scenario_.seed, number_of(local), static_cast<uint64_t>(now));
    player.client->set_reading(false);
    appointments_.push({.at_us = now + static_cast<int64_t>(think_ms(group.read_delay, part) * 1e3),
                        .local = local,
                        .what = Appointment::What::read_on,
                        .connection = player.connections});
    arm(now);
  }
  for (uint32_t r = 0; r < group.on_message.size(); ++r) {
    const Reaction& reaction = group.on_message[r];
    scratch_.clear();
    reaction.match.append_to(scratch_, {.number = member.number});
    if (!mqtt::matches(scratch_, publish.topic)) continue;
    Appointment answer{
        .local = local, .what = Appointment::What::answer, .connection = player.connections, .reaction = r};
    if (stamp) {
      answer.message_id = stamp->as_text.empty() ? id_text(stamp->id) : std::string(stamp->as_text);
      answer.message_publisher =
          stamp->id.publisher < audience_.clients() ? audience_.member(stamp->id.publisher).number : 0;
    }
    const double part = derived_part(scenario_.seed, number_of(local) + 1, static_cast<uint64_t>(now) + r);
    answer.at_us = now + static_cast<int64_t>(think_ms(reaction.think, part) * 1e3);
    appointments_.push(std::move(answer));
    arm(now);
    break;  // the first that matches
  }
}

}  // namespace courier::load
