// The client's answers to what we sent: PUBACK (QoS 1), PUBREC and PUBCOMP (QoS 2).
//
//   QoS 1   PUBLISH -> PUBACK: ACKED (may wait for company)
//   QoS 2   SENT back: PUBLISH -> PUBREC: RECEIVED; back: PUBREL -> PUBCOMP: COMPLETED (may wait for company)
// An ephemeral session does the same without records. An answer frees its place in the window at once; the
// message leaves the inbox when the record is back.
#include "broker/shard.h"

namespace courier::broker {

using mqtt::Qos;
using mqtt::ReasonCode;
using session::Step;

// The newest transmitted entry with this packet id: ids repeat only after 65,535 sequences, and the window
// never spans that many.
std::optional<uint64_t> Shard::transmitted_seq(Connection& connection, PacketId id) const {
  if (connection.cursor == 0 || id.value == 0) return std::nullopt;
  const uint64_t last = connection.cursor - 1;
  const uint64_t back = (last % 65'535 + 65'535 - (id.value - 1u)) % 65'535;
  if (back > last) return std::nullopt;
  const uint64_t seq = last - back;
  const session::Entry* entry = connection.client->session.inbox.find(seq);
  if (!entry || !entry->transmitted || entry->acked) return std::nullopt;
  return seq;
}

void Shard::settle(Connection& connection, uint64_t seq, session::Entry& entry) {
  Client& client = *connection.client;
  if (connection.in_flight > 0) --connection.in_flight;
  entry.acked = true;
  const record::InboxRef ref = ref_of(seq, entry);
  count_delivered(*entry.message, entry.qos);
  if (wanted(events::Kind::delivery_complete, *entry.message)) tell_complete(client, entry);
  const auto waiting = [&]() -> std::vector<record::InboxRef>& {
    Client::Work& work = client.work.make();
    return entry.qos == Qos::at_least_once ? work.acked : work.completed;
  };
  if (!client.session.id.ephemeral()) {
    leaves(client, ref);
    waiting().push_back(ref);
    wait_for_ack_company(client);
  } else {
    // Only a shared group needs to be told.
    if (ref.group) {
      waiting().push_back(ref);
      wait_for_ack_company(client);
    }
    finish_ephemeral(client, ref);
  }
  want_pump(client);
}

void Shard::handle(Connection& connection, const mqtt::Puback& packet) {
  const auto seq = transmitted_seq(connection, packet.packet_id);
  if (!seq) return;  // answered before, on an earlier connection perhaps
  session::Entry& entry = *connection.client->session.inbox.find(*seq);
  if (entry.qos != Qos::at_least_once) {
    disconnect(connection, EndCause::protocol_violation, ReasonCode::protocol_error,
               "a PUBACK answers a QoS 2 message");
    return;
  }
  settle(connection, *seq,
         entry);  // an error code settles it too: the client does not want it [MQTT-4.8.2-6]
}

void Shard::handle(Connection& connection, const mqtt::Pubrec& packet) {
  Client& client = *connection.client;
  const auto seq = transmitted_seq(connection, packet.packet_id);
  if (!seq) {
    if (!mqtt::is_error(packet.reason)) {
      send(connection, mqtt::Pubrel{{packet.packet_id, ReasonCode::packet_identifier_not_found, {}, {}}});
    }
    return;
  }
  session::Entry& entry = *client.session.inbox.find(*seq);
  if (entry.qos != Qos::exactly_once) {
    disconnect(connection, EndCause::protocol_violation, ReasonCode::protocol_error,
               "a PUBREC answers a QoS 1 message");
    return;
  }
  if (mqtt::is_error(packet.reason)) {
    settle(connection, *seq, entry);  // refused: no PUBREL follows [MQTT-4.3.3-4]
    return;
  }
  if (entry.step == Step::received) {
    send(connection, mqtt::Pubrel{{packet.packet_id, ReasonCode::success, {}, {}}});
    return;
  }
  if (client.session.id.ephemeral()) {
    client.session.inbox.set_step(*seq, Step::received);
    send(connection, mqtt::Pubrel{{packet.packet_id, ReasonCode::success, {}, {}}});
    return;
  }
  if (entry.step_pending) return;  // its RECEIVED is on the way
  entry.step_pending = true;
  append(record::Received{{{client.session.id, connection.attach}, {ref_of(*seq, entry)}}});
}

void Shard::handle(Connection& connection, const mqtt::Pubcomp& packet) {
  const auto seq = transmitted_seq(connection, packet.packet_id);
  if (!seq) return;
  session::Entry& entry = *connection.client->session.inbox.find(*seq);
  if (entry.qos != Qos::exactly_once || entry.step != Step::received) return;  // no PUBREL was sent
  settle(connection, *seq, entry);
}

}  // namespace courier::broker
