#include "mesh/mesh.h"

#include <gtest/gtest.h>

#include "mesh/mesh_test_bed.h"

namespace courier::mesh {
namespace {

TEST(Mesh, MessagesArriveInOrderAndAsTheyWere) {
  TestNode a(1), b(2);
  join({&a, &b});
  constexpr int kCount = 5000;
  Sender& sender = b.mesh->sender(0);
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(sender.deliver(a.epoch, deliver_of("t/" + std::to_string(i), std::string(i % 50, 'x'), i)));
    if (i % 16 == 15) sender.flush();
  }
  sender.flush();
  const std::vector<Deliver> got = a.handler.await_delivers(kCount);
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(got[i].message->topic, "t/" + std::to_string(i));
    ASSERT_EQ(got[i].message->payload.size(), i % 50);
    ASSERT_EQ(got[i].after, Position(i));
    ASSERT_EQ(got[i].from, b.epoch);
    ASSERT_EQ(got[i].to, (std::vector<Receiver>{{SessionId(7), true, {}}}));
  }
  EXPECT_EQ(b.counted("courier_mesh_messages_total", {{"direction", "out"}}), kCount);
  EXPECT_EQ(a.counted("courier_mesh_messages_total", {{"direction", "in"}}), kCount);
}

// The list of members becomes another while messages wait for some of them.
TEST(Mesh, ASenderLooksAgainWhoIsThere) {
  TestNode a(1), b(2), c(3);
  join({&a, &b, &c});
  Sender& sender = a.mesh->sender(0);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(sender.deliver(b.epoch, deliver_of("b", "x")));
    ASSERT_TRUE(sender.deliver(c.epoch, deliver_of("c", "x")));
    // The same ones, told anew: in another order, and one more that cannot be reached.
    std::vector<Member> members{c.member(), a.member(), b.member()};
    if (round % 2 == 0) members.push_back({"ghost", NodeEpoch(10 + round), b.member().address});
    a.mesh->set_members(std::move(members));
  }
  sender.flush();
  EXPECT_EQ(b.handler.await_delivers(20).size(), 20u);
  EXPECT_EQ(c.handler.await_delivers(20).size(), 20u);
}

TEST(Mesh, EveryTwoOfThreeHaveOneLink) {
  TestNode a(1), b(2), c(3);
  join({&a, &b, &c});
  TestNode* const nodes[] = {&a, &b, &c};
  for (TestNode* from : nodes) {
    for (TestNode* to : nodes) {
      if (to == from) continue;
      EXPECT_TRUE(from->mesh->reachable(to->epoch));
      EXPECT_TRUE(from->mesh->sender(0).deliver(to->epoch, deliver_of("t", from->id)));
    }
    from->mesh->sender(0).flush();
  }
  for (TestNode* node : nodes) {
    const auto got = node->handler.await_delivers(2);
    EXPECT_EQ(got.size(), 2u);
    EXPECT_NE(got[0].from, got[1].from);
    EXPECT_EQ(node->handler.links().size(), 2u);
    EXPECT_EQ(node->counted("courier_mesh_links", {{"state", "up"}}), 2);
    EXPECT_EQ(node->counted("courier_mesh_links", {{"state", "down"}}), 0);
  }
  EXPECT_EQ(a.counted("courier_mesh_link_up", {{"peer", "node-2"}}), 1);
}

TEST(Mesh, ATurnsMessagesAreOneWrite) {
  TestNode a(1), b(2);
  join({&a, &b});
  const double before = b.counted("courier_mesh_writes_total");
  for (int i = 0; i < 100; ++i) b.mesh->sender(1).deliver(a.epoch, deliver_of("t", "payload"));
  EXPECT_EQ(b.counted("courier_mesh_writes_total"), before) << "nothing goes before the Turn ends";
  b.mesh->sender(1).flush();
  a.handler.await_delivers(100);
  EXPECT_EQ(b.counted("courier_mesh_writes_total"), before + 1);
}

TEST(Mesh, LargeMessagesPassAndTooLargeOnesAreCounted) {
  TestNode a(1), b(2);
  Options options = test_options("node-3");
  options.limits.queue_bytes_max = 64 * 1024 * 1024;
  TestNode c(3, options);
  join({&a, &b, &c});
  Sender& sender = c.mesh->sender(0);
  const std::string most(kFrameBytesMax - 1000, 'm');
  EXPECT_TRUE(sender.deliver(a.epoch, deliver_of("small", "s")));
  EXPECT_TRUE(sender.deliver(a.epoch, deliver_of("large", most)));
  EXPECT_FALSE(sender.deliver(a.epoch, deliver_of("larger", most + std::string(1000, 'm'))));
  EXPECT_TRUE(sender.deliver(a.epoch, deliver_of("last", "s")));
  sender.flush();
  const auto got = a.handler.await_delivers(3);
  EXPECT_EQ(got[0].message->topic, "small");
  EXPECT_TRUE(got[1].message->payload == most);
  EXPECT_EQ(got[2].message->topic, "last");
  EXPECT_EQ(c.dropped("too_large"), 1);
}

TEST(Mesh, WithoutALinkMessagesAreCountedAndDropped) {
  TestNode a(1);
  EXPECT_FALSE(a.mesh->sender(0).deliver(NodeEpoch(7), deliver_of("t", "p")));
  EXPECT_EQ(a.dropped("no_link"), 1);
  EXPECT_FALSE(a.mesh->reachable(NodeEpoch(7)));
}

// A peer that reads nothing: what waits for it is bounded, the sender never waits, others get theirs.
TEST(Mesh, WhatWaitsForAStalledPeerIsBounded) {
  Options options = test_options("node-1");
  options.limits.queue_bytes_max = 1024 * 1024;
  TestNode a(1, options), b(2);
  BarePeer stalled(a);
  a.mesh->set_members({a.member(), b.member(), {"node-9", NodeEpoch(9), {}}});
  b.mesh->set_members({a.member(), b.member()});
  stalled.introduce(a, 9);
  ASSERT_TRUE(a.handler.await_link(NodeEpoch(9), true));
  ASSERT_TRUE(a.handler.await_link(b.epoch, true));

  Sender& sender = a.mesh->sender(0);
  const std::string payload(10'000, 'p');
  int taken = 0, refused = 0;
  // Far more than the queue, the socket's buffers and what the link has committed to.
  for (int i = 0; i < 5000; ++i) {
    (sender.deliver(NodeEpoch(9), deliver_of("t", payload)) ? taken : refused)++;
    sender.deliver(b.epoch, deliver_of("t", "for b"));
    if (i % 10 == 9) {
      sender.flush();
      b.handler.await_delivers(i + 1);
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_EQ(a.dropped("queue_full"), refused);
  EXPECT_LT(taken * payload.size(), 20u * 1024 * 1024);

  // What waited when it goes is counted, too.
  a.mesh->set_members({a.member(), b.member()});
  ASSERT_TRUE(a.handler.await_link(NodeEpoch(9), false));
  const double out = a.counted("courier_mesh_messages_total", {{"direction", "out"}}) - 5000;
  EXPECT_GT(a.dropped("link_lost"), 50);
  EXPECT_EQ(out + a.dropped("link_lost"), taken);
}

// A question of a peer that is behind with its messages is answered before those that wait for it.
TEST(Mesh, WhatIsUrgentOvertakesMessages) {
  TestNode a(1);
  BarePeer behind(a);
  a.mesh->set_members({{"node-9", NodeEpoch(9), {}}});
  behind.introduce(a, 9);
  ASSERT_TRUE(a.handler.await_link(NodeEpoch(9), true));
  Sender& sender = a.mesh->sender(0);
  const std::string payload(100'000, 'p');
  size_t waiting = 0;
  while (sender.deliver(NodeEpoch(9), deliver_of("t", payload))) {
    waiting += payload.size();
    sender.flush();
  }
  ASSERT_GT(waiting, 10u * 1024 * 1024);
  const double before = a.counted("courier_mesh_bytes_total", {{"direction", "in"}});
  ASSERT_TRUE(behind.say(encode_number(FrameType::ping, 42)));
  ASSERT_TRUE(comes_true([&] {
    return a.counted("courier_mesh_bytes_total", {{"direction", "in"}}) > before;
  }));
  size_t bytes = 0;
  for (;;) {
    const std::string frame = behind.hear();
    ASSERT_FALSE(frame.empty());
    if (static_cast<FrameType>(frame[4]) == FrameType::pong) break;
    bytes += frame.size();
  }
  RecordProperty("bytes_before", static_cast<int>(bytes));
  EXPECT_LT(bytes, waiting / 2) << "sockets' buffers and what was committed to";
}

// Shards are threads: each has its own sender, and each one's messages keep their order.
TEST(Mesh, ShardsSendAtTheSameTime) {
  constexpr int kCount = 20'000;
  TestNode a(1), b(2), c(3);
  join({&a, &b, &c});
  std::vector<std::thread> shards;
  for (size_t shard = 0; shard < 2; ++shard) {
    shards.emplace_back([&, shard] {
      Sender& sender = b.mesh->sender(shard);
      for (int i = 0; i < kCount; ++i) {
        EXPECT_TRUE(sender.deliver(i % 2 ? a.epoch : c.epoch, deliver_of(std::to_string(shard), "", i)));
        if (i % 7 == 0) sender.flush();
      }
      sender.flush();
    });
  }
  for (std::thread& shard : shards) shard.join();
  for (TestNode* node : {&a, &c}) {
    const auto got = node->handler.await_delivers(kCount);
    EXPECT_EQ(got.size(), static_cast<size_t>(kCount));
    uint64_t last[2] = {0, 0};
    for (const Deliver& one : got) {
      uint64_t& before = last[one.message->topic == "1"];
      EXPECT_GE(one.after.value, before);
      before = one.after.value;
    }
  }
}

TEST(Mesh, ARestartedNodeIsAnotherPeer) {
  TestNode a(1);
  Options options = test_options("node-2");
  options.bind = options.bind.with_port(net::test_port());
  auto b = std::make_unique<TestNode>(2, options);
  join({&a, b.get()});
  b.reset();
  ASSERT_TRUE(a.handler.await_link(NodeEpoch(2), false));
  EXPECT_FALSE(a.mesh->reachable(NodeEpoch(2)));
  EXPECT_EQ(a.counted("courier_mesh_links", {{"state", "down"}}), 1);
  EXPECT_FALSE(a.mesh->sender(0).deliver(NodeEpoch(2), deliver_of("t", "lost")));

  TestNode again(5, options);
  join({&a, &again});
  EXPECT_TRUE(a.mesh->reachable(NodeEpoch(5)));
  EXPECT_FALSE(a.mesh->reachable(NodeEpoch(2)));
  EXPECT_FALSE(a.mesh->sender(0).deliver(NodeEpoch(2), deliver_of("t", "lost")));
  EXPECT_TRUE(a.mesh->sender(0).deliver(NodeEpoch(5), deliver_of("t", "p")));
  a.mesh->sender(0).flush();
  EXPECT_EQ(again.handler.await_delivers(1).size(), 1u);
  EXPECT_EQ(a.dropped("no_link"), 2);
  EXPECT_EQ(a.counted("courier_mesh_link_up", {{"peer", "node-2"}}), 1);
}

// The younger one dials, so it is the one that comes back by itself.
TEST(Mesh, ALostLinkIsMadeAgain) {
  TestNode b(2);
  Options options = test_options("node-1");
  options.bind = options.bind.with_port(net::test_port());
  auto a = std::make_unique<TestNode>(1, options);
  join({a.get(), &b});
  a.reset();
  ASSERT_TRUE(b.handler.await_link(NodeEpoch(1), false));
  // The same run, as far as the other can tell: as after a cut.
  TestNode back(1, options);
  back.mesh->set_members({back.member(), b.member()});
  EXPECT_TRUE(b.handler.await_link(NodeEpoch(1), true, 2));
  EXPECT_TRUE(back.handler.await_link(NodeEpoch(2), true));
}

// A joining node dials before the others have heard of it.
TEST(Mesh, WhoIsQuickerThanTheNewsOfItsComingIsHeld) {
  TestNode a(1), b(2);
  a.mesh->set_members({a.member()});
  BarePeer early(a);
  ASSERT_TRUE(early.say(encode_hello(BarePeer::hello(a, 2))));
  // What is read is looked at in the same turn, before the news.
  ASSERT_TRUE(comes_true([&] { return a.counted("courier_mesh_bytes_total", {{"direction", "in"}}) > 0; }));
  a.mesh->set_members({a.member(), b.member()});
  EXPECT_EQ(early.hear_type(), FrameType::hello);
  EXPECT_TRUE(a.handler.await_link(NodeEpoch(2), true));
}

TEST(Mesh, PingsMeasureAndFindWhoIsSilent) {
  Options options = test_options("node-1");
  options.limits.ping_ns = 5 * kNsPerMs;
  options.limits.silent_ns = 100 * kNsPerMs;
  TestNode a(1, options), b(2);
  BarePeer silent(a);
  a.mesh->set_members({b.member(), {"node-9", NodeEpoch(9), {}}});
  b.mesh->set_members({a.member()});
  silent.introduce(a, 9);
  EXPECT_TRUE(a.handler.await_link(NodeEpoch(9), true));
  EXPECT_TRUE(a.handler.await_link(NodeEpoch(9), false));
  EXPECT_TRUE(comes_true([&] { return a.counted("courier_mesh_lag_seconds") > 3; }));
  EXPECT_TRUE(a.mesh->reachable(b.epoch)) << "that one answers";
}

TEST(Mesh, StopsWithEverythingInFlight) {
  auto a = std::make_unique<TestNode>(1, [](NodeEpoch, uint16_t, std::string_view, Reply reply) {
    static std::mutex mutex;
    static std::vector<Reply> kept;  // never answered
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(reply));
  });
  TestNode b(2);
  join({a.get(), &b});
  std::mutex mutex;
  std::vector<Answer> answers;
  for (int i = 0; i < 10; ++i) {
    b.mesh->request(a->epoch, 1, "q", 3600 * kNsPerSecond, [&](Answer answer) {
      const std::lock_guard lock(mutex);
      answers.push_back(std::move(answer));
    });
    b.mesh->sender(0).deliver(a->epoch, deliver_of("t", std::string(100'000, 'x')));
    b.mesh->sender(1).deliver(a->epoch, deliver_of("t", std::string(100'000, 'x')));
    b.mesh->sender(i % 2).flush();
  }
  b.mesh->stop();
  b.mesh->stop();
  EXPECT_EQ(answers.size(), 10u);
  for (const Answer& answer : answers) {
    ASSERT_TRUE(answer.error);
    EXPECT_EQ(answer.error->code, errc::stopped);
  }
  b.mesh->request(a->epoch, 1, "q", kNsPerSecond,
                  [&](Answer answer) { answers.push_back(std::move(answer)); });
  EXPECT_EQ(answers.size(), 11u);
  EXPECT_FALSE(b.mesh->sender(0).deliver(a->epoch, deliver_of("t", "p")));
  b.mesh->set_members({});
  ASSERT_TRUE(a->handler.await_link(b.epoch, false));
  a.reset();
}

TEST(Mesh, RefusesSettingsThatCannotBe) {
  Registry registry;
  Options options = test_options("");
  auto opened = Mesh::open(options, registry);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, errc::bad_setting);
  options = test_options("a");
  options.cluster = std::string(kNameBytesMax + 1, 'c');
  EXPECT_EQ(Mesh::open(options, registry).error().code, errc::bad_setting);
  options = test_options("a");
  options.bind = {};
  EXPECT_EQ(Mesh::open(options, registry).error().code, errc::bad_setting);
  options = test_options("a");
  options.limits.pending_max = 0;
  EXPECT_EQ(Mesh::open(options, registry).error().code, errc::bad_setting);
}

}  // namespace
}  // namespace courier::mesh
