// Who is not a member, and members that do not keep to the protocol: bounded, refused, and said so.
#include <gtest/gtest.h>

#include "mesh/mesh_test_bed.h"
#include "net/loopback_pair.h"

namespace courier::mesh {
namespace {

// A cluster of one that expects node-9.
struct Host {
  explicit Host(Options options = test_options("node-1"), TestHandler::OnRequest on_request = nullptr)
      : node(1, std::move(options), std::move(on_request)) {
    node.mesh->set_members({node.member(), {"node-9", NodeEpoch(9), {}}});
  }
  Hello hello() const { return BarePeer::hello(node, 9); }
  // What it says to one that introduces itself so.
  uint8_t refusal(const Hello& hello) const {
    BarePeer peer(node);
    EXPECT_TRUE(peer.say(encode_hello(hello)));
    return peer.hear_refusal();
  }
  TestNode node;
};

TEST(Strangers, AreToldWhyTheyAreRefused) {
  Host host;
  const auto refused = [&](auto change) {
    Hello hello = host.hello();
    change(hello);
    return static_cast<Refusal>(host.refusal(hello));
  };
  EXPECT_EQ(refused([](Hello& h) { h.cluster = "another"; }), Refusal::cluster);
  EXPECT_EQ(refused([](Hello& h) { h.log_id = "log-2"; }), Refusal::log);
  EXPECT_EQ(refused([](Hello& h) { h.to = NodeEpoch(2); }), Refusal::wrong_node);
  EXPECT_EQ(refused([](Hello& h) { h.node_id = "node-8"; }), Refusal::not_a_member);
  EXPECT_EQ(refused([](Hello& h) { h.epoch = NodeEpoch(8); }), Refusal::old_epoch);
  EXPECT_EQ(refused([](Hello& h) { h.epoch = NodeEpoch(1); }), Refusal::old_epoch);
  EXPECT_EQ(refused([](Hello& h) { h.version = h.oldest = 2; }), Refusal::version);
  EXPECT_EQ(host.node.refused("cluster"), 1);
  EXPECT_EQ(host.node.refused("old_epoch"), 2);
  EXPECT_EQ(host.node.refused("version"), 1);
  EXPECT_TRUE(host.node.handler.links().empty());
  // A later version that still speaks ours is welcome.
  Hello later = host.hello();
  later.version = 2;
  BarePeer peer(host.node);
  EXPECT_TRUE(peer.say(encode_hello(later)));
  EXPECT_EQ(peer.hear_type(), FrameType::hello);
}

TEST(Strangers, OneEpochIsOneProcess) {
  Host host;
  BarePeer first(host.node);
  first.introduce(host.node, 9);
  ASSERT_TRUE(host.node.handler.await_link(NodeEpoch(9), true));
  Hello copy = host.hello();
  copy.instance = 4711;
  EXPECT_EQ(static_cast<Refusal>(host.refusal(copy)), Refusal::other_run);
  EXPECT_TRUE(host.node.mesh->reachable(NodeEpoch(9)));
  // The same process comes anew when it has noticed first that a connection is broken.
  BarePeer again(host.node);
  again.introduce(host.node, 9);
  ASSERT_TRUE(host.node.handler.await_link(NodeEpoch(9), true, 2));
  EXPECT_EQ(first.hear(), "");
  const std::vector<std::pair<uint64_t, bool>> expected{{9, true}, {9, false}, {9, true}};
  EXPECT_EQ(host.node.handler.links(), expected);
}

TEST(Strangers, WhoSaysSomethingElseIsCutOff) {
  Host host;
  std::string early = encode_number(FrameType::ping, 1);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string("\x10\x1A\0\x04MQTT", 8),
        std::string(20'000, 'x'), early, encode_refuse(Refusal::busy, "no"),
        std::string("\x05\0\0\0\x01XXXX", 9)}) {
    BarePeer peer(host.node);
    peer.say(bytes);
    EXPECT_EQ(peer.hear(), "");
  }
  EXPECT_TRUE(comes_true([&] { return host.node.refused("bad_frame") == 6; }));
}

TEST(Strangers, AHelloCutAnywhereIsNoLink) {
  Host host;
  const std::string hello = encode_hello(host.hello());
  for (size_t cut = 0; cut < hello.size(); ++cut) {
    BarePeer peer(host.node);
    ASSERT_TRUE(peer.say(std::string_view(hello).substr(0, cut)));
    net::shut_sending(peer.fd());
    EXPECT_EQ(peer.hear(), "") << cut;
  }
  EXPECT_TRUE(host.node.handler.links().empty());
  EXPECT_TRUE(
      comes_true([&] { return host.node.refused("link_lost") == static_cast<double>(hello.size()); }));
}

TEST(Strangers, WhoSaysNothingIsCutOffInTime) {
  Options options = test_options("node-1");
  options.limits.greeting_ns = 20 * kNsPerMs;
  Host host(options);
  BarePeer silent(host.node), slow(host.node), held(host.node);
  EXPECT_TRUE(slow.say("\x24"));
  EXPECT_TRUE(held.say(encode_hello(BarePeer::hello(host.node, 10))));
  EXPECT_EQ(silent.hear(), "");
  EXPECT_EQ(slow.hear(), "");
  EXPECT_EQ(static_cast<Refusal>(held.hear_refusal()), Refusal::not_a_member);
  EXPECT_TRUE(comes_true([&] { return host.node.refused("timed_out") == 2; }));
}

TEST(Strangers, OnlySoManyWaitAtOnceAndWhoBelongsHereGetsIn) {
  Options options = test_options("node-1");
  options.limits.pending_max = 4;
  Host host(options);
  std::vector<std::unique_ptr<BarePeer>> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(std::make_unique<BarePeer>(host.node));
  BarePeer member(host.node);
  member.introduce(host.node, 9);
  EXPECT_TRUE(host.node.handler.await_link(NodeEpoch(9), true));
  EXPECT_EQ(host.node.refused("busy"), 17);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(static_cast<Refusal>(silent[i]->hear_refusal()), Refusal::busy);
}

TEST(Strangers, AMemberThatBreaksTheRulesLosesItsLink) {
  std::string message;
  encode_deliver(message, deliver_of("topic", "payload"));
  const auto deliver_frame = [](std::string_view body) {
    std::string frame;
    const size_t at = open_frame(frame, FrameType::deliver);
    frame.append(body);
    close_frame(frame, at);
    return frame;
  };
  const std::vector<std::string> wrong{
      std::string("\xFF\xFF\xFF\xFF\x05", 5),  // a length beyond any
      std::string("\x01\0\0\0\x63", 5),        // a type that nobody knows
      std::string("\0\0\0\0", 4),              // no type
      encode_hello({.epoch = NodeEpoch(9)}),   // a second hello
      deliver_frame(std::string_view(message).substr(1)),
      deliver_frame(message + "x"),
      encode_number(FrameType::ping, 1).substr(0, 4) + '\x03' + '\xFF',  // a number that does not end
      encode_request(1, 1, std::string(kRequestBytesMax + 1, 'x')),
      encode_request(1, 1, "a") + encode_request(1, 1, "b"),                // one number twice
      encode_request(1, 1, "a") + encode_numbers(FrameType::credit, 1, 1),  // room that was not taken
      encode_request(1, 1, "a") + encode_numbers(FrameType::credit, 1, ~uint64_t{0}),
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    std::vector<Reply> kept;
    Host host(test_options("node-1"),
              [&](NodeEpoch, uint16_t, std::string_view, Reply reply) { kept.push_back(std::move(reply)); });
    BarePeer peer(host.node);
    peer.introduce(host.node, 9);
    ASSERT_TRUE(peer.say(deliver_frame(message)));
    EXPECT_EQ(host.node.handler.await_delivers(1).front().message->payload, "payload");
    ASSERT_TRUE(peer.say(wrong[i])) << i;
    EXPECT_TRUE(host.node.handler.await_link(NodeEpoch(9), false)) << i;
    while (!peer.hear().empty()) {
    }
    host.node.mesh->stop();
  }
}

// Parts of replies to questions that nobody asked (any more) are nothing wrong: the ends give up at their own
// times.
TEST(Strangers, WhatIsSaidOfUnknownRequestsIsPassedOver) {
  Host host;
  BarePeer peer(host.node);
  peer.introduce(host.node, 9);
  ASSERT_TRUE(peer.say(encode_text(FrameType::piece, 5, "?") + encode_number(FrameType::ended, 5) +
                       encode_text(FrameType::failed, 6, "?") + encode_numbers(FrameType::credit, 7, 5) +
                       encode_number(FrameType::cancel, 8) + encode_number(FrameType::pong, ~uint64_t{0}) +
                       encode_number(FrameType::ping, 99)));
  EXPECT_EQ(peer.hear(), encode_number(FrameType::pong, 99));
}

TEST(Strangers, MoreOfAReplyThanThereIsRoomForEndsTheLink) {
  Host host;
  BarePeer peer(host.node);
  peer.introduce(host.node, 9);
  ASSERT_TRUE(host.node.handler.await_link(NodeEpoch(9), true));
  std::mutex mutex;
  std::vector<Answer> kept;
  host.node.mesh->request(NodeEpoch(9), 1, "", 3600 * kNsPerSecond, [&](Answer answer) {
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(answer));
  });
  EXPECT_EQ(peer.hear_type(), FrameType::request);
  const std::string piece = encode_text(FrameType::piece, 1, std::string(kPieceBytesMax, 'x'));
  for (int i = 0; i < 5; ++i) peer.say(piece);
  EXPECT_TRUE(host.node.handler.await_link(NodeEpoch(9), false));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(kept.size(), 4u);
  EXPECT_EQ(kept.back().error->code, errc::link_lost);
}

// Pings are answered, and streams sent, only to who reads.
TEST(Strangers, WhoAsksForMoreThanItTakesLosesItsLink) {
  std::string pings;
  for (int i = 0; i < 10'000; ++i) pings += encode_number(FrameType::ping, ~uint64_t{0});
  Host pinged;
  BarePeer pinging(pinged.node);
  pinging.introduce(pinged.node, 9);
  size_t said = 0;
  while (pinging.say(pings)) said += pings.size();
  EXPECT_TRUE(pinged.node.handler.await_link(NodeEpoch(9), false));
  EXPECT_LT(said, 4 * kUrgentBytesMax);

  std::atomic<uint64_t> answered = 0;
  Host asked(test_options("node-1"), [&](NodeEpoch, uint16_t, std::string_view, Reply reply) {
    while (reply.send(std::string(kPieceBytesMax, 'x'))) {
    }
    ++answered;
  });
  BarePeer asking(asked.node);
  asking.introduce(asked.node, 9);
  // As many as may be, given up once they are answered, and the same again.
  std::string requests, cancels;
  for (uint64_t id = 1; id <= kRequestsMax; ++id) {
    requests += encode_request(id, 1, "");
    cancels += encode_number(FrameType::cancel, id);
  }
  EXPECT_TRUE(asking.say(requests));
  EXPECT_TRUE(comes_true([&] { return answered == kRequestsMax; }));
  EXPECT_TRUE(asked.node.mesh->reachable(NodeEpoch(9)));
  EXPECT_TRUE(asking.say(cancels + requests));
  EXPECT_TRUE(asked.node.handler.await_link(NodeEpoch(9), false));
}

// Whoever is dialled is held to the same: here it is another cluster's node that took over an address.
TEST(Strangers, WhoAnswersMustBeWhomWeLookFor) {
  Options options = test_options("node-1");
  options.cluster = "another";
  TestNode foreign(1, options);
  TestNode own(1, test_options("node-1")), younger(2);
  own.mesh->set_members({younger.member()});
  younger.mesh->set_members({{"node-1", NodeEpoch(1), foreign.mesh->address()}});
  ASSERT_TRUE(comes_true([&] { return foreign.refused("cluster") > 2; }));
  EXPECT_FALSE(younger.mesh->reachable(NodeEpoch(1)));
  // The address is put right.
  younger.mesh->set_members({own.member()});
  EXPECT_TRUE(younger.handler.await_link(NodeEpoch(1), true));
}

}  // namespace
}  // namespace courier::mesh
