#include "gateway/connection.h"

#include <gmock/gmock.h>

#include "gateway/limits.h"
#include "gateway/node_test_bed.h"

namespace courier::gateway {
namespace {

using mqtt::Connack;
using mqtt::Disconnect;
using mqtt::Publish;
using mqtt::Qos;
using mqtt::ReasonCode;
using mqtt::Version;

constexpr MonoNs kMs = 1'000'000;

mqtt::Subscribe subscribe(std::string_view filter, Qos qos = Qos::at_most_once) {
  mqtt::Subscribe packet;
  packet.packet_id = PacketId(1);
  packet.entries.push_back({filter, {.qos = qos}});
  return packet;
}

Publish publish(std::string_view topic, std::string_view payload, Qos qos = Qos::at_most_once,
                uint16_t id = 0) {
  Publish packet;
  packet.topic = topic;
  packet.payload = payload;
  packet.qos = qos;
  packet.packet_id = PacketId(id);
  return packet;
}

TEST(Connection, CarriesAMessageBetweenTwoClientsWhateverTheirShards) {
  Bed bed;
  // Ids enough that both shards have some: each pair is connected once CONNACK is out.
  std::vector<std::unique_ptr<Phone>> phones;
  for (int i = 0; i < 8; ++i) {
    phones.push_back(std::make_unique<Phone>(bed.address(), i % 2 ? Version::v5 : Version::v3_1_1));
    EXPECT_EQ(phones.back()->connect("phone-" + std::to_string(i)).reason, ReasonCode::success);
    phones.back()->send(subscribe("to/" + std::to_string(i)));
    phones.back()->expect<mqtt::Suback>();
  }
  for (int from = 0; from < 8; ++from) {
    for (int to = 0; to < 8; ++to) {
      phones[from]->send(publish("to/" + std::to_string(to), "from " + std::to_string(from)));
      EXPECT_EQ(phones[to]->expect<Publish>().payload, "from " + std::to_string(from));
    }
  }
  size_t on_first = 0;
  bed.gateway->on_every_thread([&](broker::Shard& shard) {
    if (shard.index() == 0) on_first = shard.connection_count();
  });
  EXPECT_GT(on_first, 0u);
  EXPECT_LT(on_first, 8u);
}

TEST(Connection, TakesAPacketThatComesByteByByte) {
  Bed bed;
  Phone phone(bed.address());
  mqtt::Connect connect;
  connect.version = Version::v5;
  connect.client_id = "slow";
  for (const char byte : Phone::encoded(connect)) phone.send(std::string_view(&byte, 1));
  EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::success);
  for (const char byte : Phone::encoded(subscribe("a"))) phone.send(std::string_view(&byte, 1));
  phone.expect<mqtt::Suback>();
  const std::string payload(3 * kReadBytesMax, 'x');
  phone.send(publish("a", payload));
  EXPECT_EQ(phone.expect<Publish>().payload, payload);
}

TEST(Connection, ManyPacketsInOneReadAreAllDecodedInOrder) {
  Bed bed;
  Phone phone(bed.address());
  phone.connect("many");
  phone.send(subscribe("n", Qos::at_most_once));
  phone.expect<mqtt::Suback>();
  const int count = static_cast<int>(kPacketsPerTurn) * 5;
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += Phone::encoded(publish("n", std::to_string(i)));
  phone.send(bytes);
  for (int i = 0; i < count; ++i) ASSERT_EQ(phone.expect<Publish>().payload, std::to_string(i));
}

TEST(Connection, WhatComesBeforeConnackWaitsForIt) {
  Bed bed;
  bed.authenticator.hold();
  Phone phone(bed.address());
  mqtt::Connect connect;
  connect.version = Version::v5;
  connect.client_id = "eager";
  // In one read, and more in a second one while it is paused.
  phone.send(Phone::encoded(connect) + Phone::encoded(mqtt::Pingreq{}));
  ASSERT_TRUE(Bed::soon([&] { return bed.authenticator.waiting() == 1; }));
  phone.send(mqtt::Pingreq{});
  phone.send(mqtt::Pingreq{});
  EXPECT_FALSE(phone.wait(POLLIN, 100));
  bed.authenticator.let_go();
  EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::success);
  for (int i = 0; i < 3; ++i) phone.expect<mqtt::Pingresp>();
}

TEST(Connection, AClientThatHangsUpWhileItIsAuthenticatedIsForgotten) {
  Bed bed;
  bed.authenticator.hold();
  {
    Phone phone(bed.address());
    mqtt::Connect connect;
    connect.client_id = "gone";
    phone.send(connect);
    ASSERT_TRUE(Bed::soon([&] { return bed.authenticator.waiting() == 1; }));
  }
  bed.authenticator.let_go();
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_connections") == 0; }));
}

TEST(Connection, WithoutConnectItIsClosedInTime) {
  // [MQTT-3.1.4-1]: a server may close if CONNECT does not come in a reasonable time.
  Bed bed({.connections = {.connect_timeout_ns = 50 * kMs}});
  Phone silent(bed.address()), half(bed.address());
  half.send("\x10\x20");
  EXPECT_TRUE(silent.closed_in_order());
  EXPECT_TRUE(half.closed_in_order());
  EXPECT_EQ(bed.registry.value("courier_disconnects_total", {{"reason", "connect_timeout"}}), 2);
}

TEST(Connection, AConnectInTimeStopsThatClock) {
  Bed bed({.connections = {.connect_timeout_ns = 50 * kMs}});
  Phone phone(bed.address()), late(bed.address());
  phone.connect("here");
  EXPECT_TRUE(late.closed_in_order());  // the time has passed
  phone.send(mqtt::Pingreq{});
  phone.expect<mqtt::Pingresp>();
}

TEST(Connection, AnUnsupportedLevelIsToldInTheWordsOfItsProtocol) {
  // [MQTT-3.1.2-2]
  Bed bed;
  Phone old(bed.address(), Version::v3_1_1);
  old.send(std::string_view("\x10\x0c\x00\x04MQTT\x02\x02\x00\x00\x00\x00", 14));
  ASSERT_TRUE(old.more());
  EXPECT_EQ(old.input, std::string("\x20\x02\x00\x01", 4));
  old.input.clear();
  EXPECT_TRUE(old.closed_in_order());

  Phone future(bed.address());
  future.send(std::string_view("\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00", 15));
  EXPECT_EQ(future.expect<Connack>().reason, ReasonCode::unsupported_protocol_version);
  EXPECT_TRUE(future.closed_in_order());
  EXPECT_EQ(bed.registry.total("courier_protocol_violations_total"), 2);
}

TEST(Connection, WhatIsNotMqttIsClosedWithoutAWord) {
  // [MQTT-3.1.0-1]
  Bed bed;
  Phone http(bed.address());
  http.send("GET / HTTP/1.1\r\nHost: broker\r\n\r\n");
  EXPECT_TRUE(http.closed_in_order());
  Phone impatient(bed.address());
  impatient.send(publish("a", "before CONNECT"));
  EXPECT_TRUE(impatient.closed_in_order());
  // 3.1.1 has no return code for a malformed CONNECT.
  Phone malformed(bed.address(), Version::v3_1_1);
  malformed.send(std::string_view("\x10\x0c\x00\x04MQTT\x04\x01\x00\x00\x00\x00", 14));
  EXPECT_TRUE(malformed.closed_in_order());
}

TEST(Connection, AConnectThatIsTooLargeIsRefusedAsSoonAsItNamesItsVersion) {
  Bed bed({.connections = {.connect_bytes_max = 1000}});
  const std::string five =
      Phone::encoded(Connect{.version = Version::v5, .password = std::string(1000, 'x')});
  Phone phone(bed.address());
  phone.send(five.substr(0, 4));
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->connections() == 1; }));
  phone.send(five.substr(4, 7));
  EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::packet_too_large);
  EXPECT_TRUE(phone.closed_in_order());
  // 3.x has no word for it.
  const std::string four =
      Phone::encoded(Connect{.version = Version::v3_1_1, .username = "u", .password = std::string(1000, 'x')},
                     Version::v3_1_1);
  Phone old(bed.address(), Version::v3_1_1);
  old.send(four.substr(0, 12));
  EXPECT_TRUE(old.closed_in_order());
  Phone noise(bed.address());
  noise.send(std::string_view("\x10\xff\x7f\x00\x04HTTP/1.1", 13));
  EXPECT_TRUE(noise.closed_in_order());
}

TEST(Connection, APacketThatIsTooLargeEndsItWithTheCode) {
  Bed bed({.limits = {.packet_bytes_max = 2000}});
  Phone phone(bed.address());
  EXPECT_EQ(phone.connect("large").maximum_packet_size, 2000u);
  phone.send(publish("a", std::string(100'000, 'x')));
  EXPECT_EQ(phone.expect<Disconnect>().reason, ReasonCode::packet_too_large);
  // It had sent far more than we read, and still it could read why.
  EXPECT_TRUE(phone.closed_in_order());
}

TEST(Connection, ASilentClientIsClosedAfterOneAndAHalfKeepAlives) {
  // [MQTT-3.1.2-22]
  Bed bed;
  Phone phone(bed.address());
  mqtt::Connect connect;
  connect.keep_alive_seconds = 1;
  const MonoNs before = system_clock().mono_ns();
  phone.connect("silent", connect);
  // Half a packet is none.
  phone.send("\x30");
  EXPECT_EQ(phone.expect<Disconnect>().reason, ReasonCode::keep_alive_timeout);
  EXPECT_GE(system_clock().mono_ns() - before, 1500 * kMs);
  EXPECT_LE(system_clock().mono_ns() - before, 2500 * kMs);
  EXPECT_TRUE(phone.closed_in_order());
}

TEST(Connection, APacketPutsTheKeepAliveOff) {
  Bed bed;
  Phone phone(bed.address()), silent(bed.address());
  mqtt::Connect connect;
  connect.keep_alive_seconds = 1;
  phone.connect("busy", connect);
  ASSERT_FALSE(phone.wait(POLLIN, 1000));  // nothing comes for a second
  silent.connect("silent", connect);
  phone.send(mqtt::Pingreq{});
  phone.expect<mqtt::Pingresp>();
  // By the time that the second one is over, the first has had 1.5 s since CONNECT long ago.
  ASSERT_FALSE(phone.wait(POLLIN, 1000));
  phone.send(mqtt::Pingreq{});
  phone.expect<mqtt::Pingresp>();
  EXPECT_EQ(silent.expect<Disconnect>().reason, ReasonCode::keep_alive_timeout);
}

TEST(Connection, APacketThatStandsStillEndsItThoughThereIsNoKeepAlive) {
  Bed bed({.connections = {.packet_timeout_ns = 200 * kMs}});
  const std::string whole = Phone::encoded(publish("a", std::string(100'000, 'x')));
  const std::string but_one(whole, 0, whole.size() - 1);
  Phone phone(bed.address()), old(bed.address(), Version::v3_1_1), eager(bed.address()), alive(bed.address());
  phone.connect("phone");
  const MonoNs before = system_clock().mono_ns();
  phone.send(but_one);
  EXPECT_EQ(phone.expect<Disconnect>().reason, ReasonCode::quota_exceeded);
  EXPECT_GE(system_clock().mono_ns() - before, 200 * kMs);
  EXPECT_TRUE(phone.closed_in_order());
  // 3.x is not told; and a packet may be begun together with CONNECT.
  old.connect("old");
  old.send(but_one);
  EXPECT_TRUE(old.closed_in_order());
  mqtt::Connect connect;
  connect.version = Version::v5;
  connect.client_id = "eager";
  eager.send(Phone::encoded(connect) + but_one);
  EXPECT_EQ(eager.expect<Connack>().reason, ReasonCode::success);
  EXPECT_EQ(eager.expect<Disconnect>().reason, ReasonCode::quota_exceeded);
  // A keep-alive that is longer does not put it off.
  connect.keep_alive_seconds = 60;
  alive.connect("alive", connect);
  alive.send(but_one);
  EXPECT_EQ(alive.expect<Disconnect>().reason, ReasonCode::quota_exceeded);
  EXPECT_EQ(bed.registry.value("courier_disconnects_total", {{"reason", "packet_timeout"}}), 4);
}

TEST(Connection, APacketThatGoesOnSlowlyIsTaken) {
  constexpr MonoNs kTimeout = 200 * kMs;
  Bed bed({.connections = {.packet_timeout_ns = kTimeout}});
  Phone phone(bed.address());
  phone.connect("slow");
  phone.send(subscribe("a"));
  phone.expect<mqtt::Suback>();
  // Ten times what it must bring; and all in all much longer than the timeout.
  const std::string whole = Phone::encoded(publish("a", std::string(6'000, 'x')));
  const MonoNs before = system_clock().mono_ns();
  for (size_t at = 0; at < whole.size(); at += 100) {
    phone.send(std::string_view(whole).substr(at, 100));
    if (at + 100 < whole.size()) {
      ASSERT_FALSE(phone.wait(POLLIN, 20)) << at;
    }
  }
  EXPECT_GT(system_clock().mono_ns() - before, 3 * kTimeout);
  EXPECT_EQ(phone.expect<Publish>().payload.size(), 6'000u);
  // Afterwards it may be as silent as it likes.
  EXPECT_FALSE(phone.wait(POLLIN, 500));
}

TEST(Connection, PastTheMemoryCeilingALargePacketIsNotReadOn) {
  Bed bed({.threads = 1,
           .connections = {.packet_timeout_ns = 60'000 * kMs},
           .limits = {.memory_bytes_max = 1000}});
  const std::string whole = Phone::encoded(publish("a", std::string(400'000, 'x')));
  Phone phone(bed.address()), other(bed.address());
  phone.connect("large");
  phone.send(subscribe("a"));
  phone.expect<mqtt::Suback>();
  other.connect("other");
  bed.node->set_memory(2000);
  const std::string_view rest = std::string_view(whole).substr(kStarvedInputBytes + 1);
  phone.send(std::string_view(whole).substr(0, kStarvedInputBytes + 1));
  const auto taken = [&] { return bed.registry.total("courier_bytes_received_total"); };
  ASSERT_TRUE(Bed::soon([&] { return taken() > static_cast<double>(kStarvedInputBytes); }));
  phone.send(rest);
  for (int i = 0; i < 20; ++i) {  // Turns in which it might be read; acknowledgements still are
    other.send(mqtt::Pingreq{});
    other.expect<mqtt::Pingresp>();
  }
  EXPECT_LT(taken(), static_cast<double>(kStarvedInputBytes + 2 * kReadBytesMax));
  bed.node->set_memory(0);
  EXPECT_EQ(phone.expect<Publish>().payload.size(), 400'000u);
}

TEST(Connection, MemoryThatDoesNotFallIsTakenBackFromPacketsThatWaitForIt) {
  Bed bed({.connections = {.packet_timeout_ns = 200 * kMs}, .limits = {.memory_bytes_max = 1000}});
  Phone phone(bed.address());
  phone.connect("large");
  bed.node->set_memory(2000);
  phone.send(publish("a", std::string(400'000, 'x')));
  EXPECT_EQ(phone.expect<Disconnect>().reason, ReasonCode::quota_exceeded);
}

TEST(Connection, ATakeOverTellsTheOldOneAndClosesIt) {
  // [MQTT-3.1.4-3]
  Bed bed;
  Phone first(bed.address()), second(bed.address());
  first.connect("one");
  EXPECT_EQ(second.connect("one").reason, ReasonCode::success);
  EXPECT_EQ(first.expect<Disconnect>().reason, ReasonCode::session_taken_over);
  EXPECT_TRUE(first.closed_in_order());
  second.send(mqtt::Pingreq{});
  second.expect<mqtt::Pingresp>();
}

TEST(Connection, AReaderThatStandsStillGetsTheRestLater) {
  Bed bed({.limits = {.output_bytes_max = 64 * 1024 * 1024}});
  Phone reader(bed.address()), writer(bed.address());
  reader.connect("reader");
  reader.send(subscribe("a"));
  reader.expect<mqtt::Suback>();
  writer.connect("writer");
  const std::string payload(100'000, 'x');
  constexpr int kCount = 150;  // 15 MB: more than the sockets hold
  for (int i = 0; i < kCount; ++i) writer.send(publish("a", payload));
  writer.send(mqtt::Pingreq{});
  writer.expect<mqtt::Pingresp>();
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(reader.expect<Publish>().payload.size(), payload.size());
  writer.send(publish("a", "last"));
  EXPECT_EQ(reader.expect<Publish>().payload, "last");
}

TEST(Connection, ABurstThatTheSocketTakesWholeHoldsNothingBack) {
  // One Turn gathers more than the shard likes to have unsent; the socket takes it all, so nobody says
  // kWritable.
  Bed bed({.limits = {.output_bytes_max = 64 * 1024}});
  Phone reader(bed.address()), writer(bed.address());
  reader.connect("reader");
  reader.send(subscribe("a", Qos::at_least_once));
  reader.expect<mqtt::Suback>();
  writer.connect("writer");
  std::string burst;
  constexpr uint16_t kCount = 30;  // one read, one batch, one mail to the reader's shard
  for (uint16_t i = 1; i <= kCount; ++i) {
    burst += Phone::encoded(publish("a", std::string(2000, 'x'), Qos::at_least_once, i));
  }
  writer.send(burst);
  // None is acknowledged: only the socket can move this on.
  for (uint16_t i = 0; i < kCount; ++i) ASSERT_EQ(reader.expect<Publish>().payload.size(), 2000u) << i;
}

TEST(Connection, AResetInTheMiddleOfASendHarmsNobodyElse) {
  Bed bed;
  Phone other(bed.address());
  other.connect("other");
  for (int i = 0; i < 20; ++i) {
    Phone reader(bed.address());
    reader.connect("reader");
    reader.send(subscribe("a"));
    reader.expect<mqtt::Suback>();
    for (int n = 0; n < 10; ++n) other.send(publish("a", std::string(10'000, 'x')));
    net::set_reset_on_close(reader.socket.get());
  }
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_connections") == 1; }));
  other.send(mqtt::Pingreq{});
  other.expect<mqtt::Pingresp>();
}

TEST(Connection, BytesAreCounted) {
  Bed bed;
  Phone phone(bed.address());
  phone.connect("counted");
  phone.send(mqtt::Pingreq{});
  phone.expect<mqtt::Pingresp>();
  EXPECT_GT(bed.registry.total("courier_bytes_received_total"), 2);
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_bytes_sent_total") > 2; }));
}

TEST(Connection, ALingeringCloseDoesNotWaitForEverForAPeerThatStays) {
  Bed bed;
  Phone first(bed.address());
  first.connect("one");
  Phone second(bed.address());
  second.connect("one");
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_connections") == 1; }));
}

TEST(Connection, DrainTellsEverybodyAndLeavesNobody) {
  Bed bed;
  std::vector<std::unique_ptr<Phone>> phones;
  for (int i = 0; i < 6; ++i) {
    phones.push_back(std::make_unique<Phone>(bed.address()));
    phones.back()->connect("phone-" + std::to_string(i));
  }
  Phone unannounced(bed.address());
  bed.gateway->stop_listening();
  while (bed.gateway->drain(1) > 0) {
  }
  for (const auto& phone : phones) {
    EXPECT_EQ(phone->expect<Disconnect>().reason, ReasonCode::server_shutting_down);
    EXPECT_TRUE(phone->closed_in_order());
  }
  bed.log.stop();
  bed.gateway->stop();
  EXPECT_TRUE(unannounced.closed_in_order());
  EXPECT_EQ(bed.registry.total("courier_connections"), 0);
}

TEST(Connection, StoppingWithoutADrainStillTellsWhoIsThere) {
  Phone* phone = nullptr;
  std::unique_ptr<Phone> owned;
  {
    Bed bed;
    owned = std::make_unique<Phone>(bed.address());
    phone = owned.get();
    phone->connect("here");
  }
  EXPECT_EQ(phone->expect<Disconnect>().reason, ReasonCode::server_shutting_down);
  EXPECT_TRUE(phone->closed_in_order());
}

}  // namespace
}  // namespace courier::gateway
