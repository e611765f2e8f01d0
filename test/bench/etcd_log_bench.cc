// What the cluster's log costs: three nodes append to three etcd servers, all on this machine; how long until
// a record is back. Run by hand: etcd_log_bench [RECORDS_PER_SECOND [SECONDS [RECORD_BYTES]]]
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cluster/etcd/etcd_test_node.h"

namespace {

using namespace courier;
using namespace courier::cluster::etcd;

struct Latencies : store::LogReader {
  void on_committed(std::span<store::CommittedBatch> batches) override {
    const MonoNs now = system_clock().mono_ns();
    for (const store::CommittedBatch& batch : batches) {
      records += batch.records.size();
      if (batch.origin == store::kNoOrigin) continue;
      // The ticket is when it was appended.
      ms.push_back(static_cast<double>(now - static_cast<MonoNs>(batch.ticket)) / 1e6);
    }
  }
  void on_state(const store::LogState&) override {}
  std::vector<double> ms;
  std::atomic<size_t> records{0};
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest();
  const double rate = argc > 1 ? std::atof(argv[1]) : 10'000;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 10;
  const size_t bytes = argc > 3 ? static_cast<size_t>(std::atoi(argv[3])) : 250;
  constexpr size_t kNodes = 3;
  TestEtcd etcd(3);
  (void)etcd.ready_client();
  const Keys keys = test_keys();
  std::vector<std::unique_ptr<TestNode>> nodes;
  std::vector<std::unique_ptr<Latencies>> readers;
  for (size_t i = 0; i < kNodes; ++i) {
    TestNode::Options options{.id = "node" + std::to_string(i), .lease_ms = 5000};
    nodes.push_back(std::make_unique<TestNode>(etcd, keys, options));
    readers.push_back(std::make_unique<Latencies>());
    nodes[i]->log().start(*readers[i]);
  }
  record::Publish publish;
  publish.message = store::message_of(std::string(bytes, 'x'));
  const store::Batch one = store::batch_of({publish});
  std::vector<std::thread> threads;
  std::atomic<size_t> appended{0};
  const double cpu_before = cpu_seconds();
  for (size_t i = 0; i < kNodes; ++i) {
    threads.emplace_back([&, i] {
      const MonoNs gap = static_cast<MonoNs>(1e9 * kNodes / rate);
      const MonoNs began = system_clock().mono_ns();
      const MonoNs until = began + static_cast<MonoNs>(seconds * 1e9);
      for (MonoNs due = began; due < until; due += gap) {
        // Late ones count from when they were due.
        const MonoNs wait = due - system_clock().mono_ns();
        if (wait > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
        store::Batch batch = one;
        batch.ticket = static_cast<uint64_t>(due);
        nodes[i]->log().append(std::move(batch));
        ++appended;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const bool all = eventually([&] {
    return std::all_of(readers.begin(), readers.end(), [&](auto& r) { return r->records == appended; });
  });
  const double cpu = cpu_seconds() - cpu_before;
  for (auto& node : nodes) node->log().stop();
  std::vector<double> ms;
  for (const auto& reader : readers) ms.insert(ms.end(), reader->ms.begin(), reader->ms.end());
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) { return ms.empty() ? 0.0 : ms[static_cast<size_t>(q * (ms.size() - 1))]; };
  std::printf(
      "%.0f records/s of %zu B from %zu nodes for %.0f s: %zu appended, %s; back after p50 %.1f p90 %.1f p99 "
      "%.1f max %.1f ms; %.1f us of CPU a record in all nodes\n",
      rate, bytes, kNodes, seconds, appended.load(), all ? "all back everywhere" : "NOT ALL BACK", at(0.5),
      at(0.9), at(0.99), at(1.0), cpu * 1e6 / static_cast<double>(appended));
  return all ? 0 : 1;
}
