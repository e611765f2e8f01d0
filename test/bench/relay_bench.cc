// What `courier relay` costs: librdkafka's stand-in for Kafka and a backend that takes everything are here,
// the relay is a process of its own, whose processor time counts.
//
//   relay_bench COURIER [EVENTS] [BATCH_EVENTS_MAX]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include "kafka/kafka_test_cluster.h"
#include "relay/relay_test_bed.h"

namespace {

using namespace courier;
using namespace std::chrono_literals;

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: relay_bench COURIER [EVENTS] [BATCH_EVENTS_MAX]\n");
    return 2;
  }
  const size_t events = argc > 2 ? std::stoul(argv[2]) : 500'000;
  const size_t batch = argc > 3 ? std::stoul(argv[3]) : 500;
  const std::string topic = "courier-publish";
  kafka::test::Cluster kafka({topic}, 8);
  size_t bytes = 0;
  for (size_t i = 1; i <= events; ++i) {
    const std::string client = "phone-" + std::to_string(i % 10'000);
    std::string event = relay::test::event(i, client);
    using events::Field;
    events::FieldWriter(event)
        .text(Field::session_id, "000000000002347f")
        .text(Field::username, client)
        .text(Field::node, "node-1")
        .text(Field::label, "order");
    bytes += event.size();
    kafka.write(topic, client, event,
                {{"ce_specversion", "1.0"},
                 {"ce_id", std::to_string(i)},
                 {"ce_source", "courier://shop"},
                 {"ce_type", "courier.publish"},
                 {"content-type", "application/protobuf"}});
    if (i % 50'000 == 0) kafka.flush();
  }
  kafka.flush();

  std::atomic<size_t> taken{0}, requests{0};
  std::atomic<int64_t> first_at{0}, last_at{0};
  relay::test::Backend backend([&](const relay::test::Asked& asked) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    int64_t none = 0;
    first_at.compare_exchange_strong(none, now);
    size_t count = 0;
    for (size_t at = asked.body.find("{\"id\":"); at != std::string::npos;
         at = asked.body.find("{\"id\":", at + 1))
      ++count;
    ++requests;
    taken += count;
    last_at = now;
    return relay::test::answer(200);
  });
  char path[] = "/tmp/relay-bench-XXXXXX";
  const int file = ::mkstemp(path);
  if (file < 0) return 1;
  ::close(file);
  std::ofstream(path) << fmt::format(
      "[kafka]\nbrokers = \"{}\"\ngroup = \"bench\"\ntopics = [\"{}\"]\n[http]\nurl = "
      "\"{}\"\nbatch_events_max = "
      "{}\n[admin]\nbind = \"\"\n",
      kafka.brokers(), topic, backend.url(), batch);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl(argv[1], argv[1], "relay", path, nullptr);
    std::_Exit(127);
  }
  while (taken < events) std::this_thread::sleep_for(10ms);
  ::kill(child, SIGTERM);
  rusage used{};
  int status = 0;
  ::wait4(child, &status, 0, &used);
  ::unlink(path);
  const double took = static_cast<double>(last_at - first_at) / 1e9;
  const double cpu = seconds(used.ru_utime) + seconds(used.ru_stime);
  fmt::print("{} events of {} bytes in {} requests, {:.2f} s: {:.0f} events/s\n", events, bytes / events,
             requests.load(), took, static_cast<double>(events) / took);
  fmt::print(
      "the relay: {:.2f} s of processor ({:.2f} user, {:.2f} system), {:.2f} us an event, {} MB at most\n",
      cpu, seconds(used.ru_utime), seconds(used.ru_stime), cpu * 1e6 / static_cast<double>(events),
      used.ru_maxrss / 1024);
  return status == 0 && taken >= events ? 0 : 1;
}
