#include "gateway/gateway.h"

#include <latch>

#include "gateway/limits.h"
#include "gateway/node_test_bed.h"

namespace courier::gateway {
namespace {

using mqtt::ReasonCode;

TEST(Gateway, NoTaskIsLostHoweverManyWait) {
  Registry registry;
  auto gateway = Gateway::open({.threads = 1, .workers = 1}, system_clock(), registry);
  ASSERT_TRUE(gateway);
  std::latch begun(1), go(1);
  std::atomic<size_t> done{0};
  (*gateway)->run_on_worker([&] {
    begun.count_down();
    go.wait();
  });
  begun.wait();
  for (size_t i = 0; i < kWorkerTasksMax; ++i) {
    (*gateway)->run_on_worker([&] { done.fetch_add(1, std::memory_order_relaxed); });
  }
  EXPECT_EQ(done, 0u);
  // The queue is full: this one is run by who wants it.
  const auto here = std::this_thread::get_id();
  std::thread::id ran_on;
  (*gateway)->run_on_worker([&] { ran_on = std::this_thread::get_id(); });
  EXPECT_EQ(ran_on, here);
  go.count_down();
  EXPECT_TRUE(Bed::soon([&] { return done == kWorkerTasksMax; }));
}

TEST(Gateway, AThreadThatIsStuckIsNotAlive) {
  Bed bed;
  EXPECT_TRUE(bed.gateway->all_alive());
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->all_alive(); }));
  std::latch stuck(1), go(1);
  bed.gateway->post(1, broker::TaskMail{[&](broker::Shard&) {
                      stuck.count_down();
                      go.wait();
                    }});
  stuck.wait();
  (void)bed.gateway->all_alive();
  EXPECT_FALSE(bed.gateway->all_alive());
  go.count_down();
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->all_alive(); }));
}

TEST(Gateway, TheLoopsLagIsMeasured) {
  Bed bed;
  bed.gateway->on_every_thread([](broker::Shard&) {});
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_loop_lag_seconds") > 0; }));
}

TEST(Gateway, AStormOfConnectionsIsTakenInTurns) {
  Bed bed({.threads = 1});
  // They come while the thread is busy, so that more than kAcceptsPerTurn wait at once.
  std::latch busy(1), go(1);
  bed.gateway->post(0, broker::TaskMail{[&](broker::Shard&) {
                      busy.count_down();
                      go.wait();
                    }});
  busy.wait();
  std::vector<std::unique_ptr<Phone>> phones;
  for (unsigned i = 0; i < 2 * kAcceptsPerTurn + 10; ++i)
    phones.push_back(std::make_unique<Phone>(bed.address()));
  go.count_down();
  for (size_t i = 0; i < phones.size(); ++i) {
    EXPECT_EQ(phones[i]->connect("phone-" + std::to_string(i)).reason, ReasonCode::success);
  }
}

TEST(Gateway, WhoIsNotReadIsNotSilent) {
  // While the log is stalled a 3.x publisher is not read; its keep-alive does not run meanwhile.
  Bed bed;
  Phone phone(bed.address(), mqtt::Version::v3_1_1);
  mqtt::Connect connect;
  connect.keep_alive_seconds = 1;
  phone.connect("publisher", connect);
  bed.log.stall("the disk is full");
  bed.gateway->on_every_thread([](broker::Shard&) {});  // by then all have heard of it
  mqtt::Publish publish;
  publish.topic = "a";
  publish.qos = mqtt::Qos::at_least_once;
  publish.packet_id = PacketId(7);
  publish.retain = true;
  publish.payload = "kept";
  phone.send(publish);
  EXPECT_FALSE(phone.wait(POLLIN, 2500));
  bed.log.unstall();
  bed.log.post([] {});  // wakes the feed thread
  EXPECT_EQ(phone.expect<mqtt::Puback>().packet_id, PacketId(7));
}

}  // namespace
}  // namespace courier::gateway
