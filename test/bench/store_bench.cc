// What the store costs, by hand:
//
//   store_bench commits DIR [APPENDERS] [RECORDS_PER_BATCH] [SECONDS]   open loop is the broker's business;
//   this is how
//                                                                     fast records become safe, and how late
//   store_bench fill DIR [SESSIONS] [MESSAGES]                        sessions with a subscription each,
//   queued messages store_bench open DIR                                              a start: open, tables
//   that a start reads, replay
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "record/codec.h"
#include "store/rocksdb/rocks_store.h"
#include "store/rocksdb/schema.h"

namespace {

using namespace courier;
using namespace courier::store;
using Time = std::chrono::steady_clock;

double seconds_since(Time::time_point begin) {
  return std::chrono::duration<double>(Time::now() - begin).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::unique_ptr<RocksStore> must_open(const std::string& path) {
  auto store = RocksStore::open({.data_dir = path, .file_system = nullptr});
  if (!store) {
    fmt::print(stderr, "{}\n", store.error().message);
    std::exit(1);
  }
  return std::move(*store);
}

record::Record publish_of(size_t payload) {
  auto* message = mqtt::Message::make("merchant/4711/orders", std::string(payload, 'x'));
  message->qos = mqtt::Qos::at_least_once;
  message->received_at = 1'700'000'000'000;
  return record::Publish{mqtt::MessagePtr(message), "", {}};
}

// Each appender has a few batches under way and appends the next when one comes back, as shards do under
// load.
class Appenders : public LogReader {
 public:
  Appenders(OrderedLog& log, uint32_t count, size_t records) : log_(log), sent_(count) {
    batch_.records.assign(records, publish_of(200));
    for (const record::Record& r : batch_.records) record::encode(batch_.encoded, r);
  }
  void append(uint32_t origin) {
    Batch batch = batch_;
    batch.origin = origin;
    {
      const std::lock_guard lock(mutex_);
      sent_[origin].push_back(Time::now());
    }
    log_.append(std::move(batch));
  }
  void on_committed(std::span<CommittedBatch> batches) override {
    ++commits;
    for (const CommittedBatch& batch : batches) {
      records += batch.records.size();
      {
        const std::lock_guard lock(mutex_);
        latencies.push_back(seconds_since(sent_[batch.origin].front()));
        sent_[batch.origin].erase(sent_[batch.origin].begin());
      }
      if (running) append(batch.origin);
    }
  }
  void on_state(const LogState& state) override { fmt::print(stderr, "log: {}\n", state.reason); }

  std::atomic<bool> running{true};
  uint64_t records = 0, commits = 0;
  std::vector<double> latencies;

 private:
  OrderedLog& log_;
  Batch batch_;
  std::mutex mutex_;
  std::vector<std::vector<Time::time_point>> sent_;
};

void commits(const std::string& path, uint32_t appenders, size_t records_per_batch, double seconds) {
  const auto store = must_open(path);
  Appenders load(store->log(), appenders, records_per_batch);
  store->log().start(load);
  const auto begin = Time::now();
  const double cpu = cpu_seconds();
  for (uint32_t origin = 0; origin < appenders; ++origin) load.append(origin);
  uint64_t checkpoints = 0;
  while (seconds_since(begin) < seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::vector<StateBatch> parts(1);
    (void)store->state().write(parts, store->state().position());
    ++checkpoints;
  }
  load.running = false;
  const double took = seconds_since(begin);
  store->log().stop();
  const double spent = cpu_seconds() - cpu;
  std::sort(load.latencies.begin(), load.latencies.end());
  const auto at = [&](double q) {
    return 1e3 * load.latencies[static_cast<size_t>(q * (load.latencies.size() - 1))];
  };
  fmt::print(
      "{} appenders x {} records: {:.0f} records/s, {:.0f} commits/s, {:.2f} us CPU a record, "
      "p50 {:.2f} ms, p99 {:.2f} ms, max {:.1f} ms, {} checkpoints\n",
      appenders, records_per_batch, static_cast<double>(load.records) / took,
      static_cast<double>(load.commits) / took, 1e6 * spent / static_cast<double>(load.records), at(0.5),
      at(0.99), at(1), checkpoints);
}

class Nobody : public LogReader {
 public:
  void on_committed(std::span<CommittedBatch>) override {}
  void on_state(const LogState&) override {}
};

void fill(const std::string& path, uint64_t sessions, uint64_t messages) {
  const auto store = must_open(path);
  const auto begin = Time::now();
  constexpr size_t kRowsPerWrite = 20'000;
  uint64_t position = store->state().position().value;
  StateBatch batch;
  const auto flush = [&](bool all) {
    if (!all && batch.puts.size() < kRowsPerWrite) return;
    std::vector<StateBatch> parts;
    parts.push_back(std::move(batch));
    batch = {};
    if (const auto written = store->state().write(parts, Position(++position)); !written) {
      fmt::print(stderr, "{}\n", written.error().message);
      std::exit(1);
    }
  };
  const auto session_key = [](uint64_t i) {
    return schema::big_endian(((i + 1) << 16) | (i * 40'503 % 65'536));
  };
  const std::string header(60, 'h');
  for (uint64_t i = 0; i < sessions; ++i) {
    batch.puts.push_back({Table::session, session_key(i), header});
    batch.puts.push_back(
        {Table::subscription, session_key(i), fmt::format("\x01merchant/{}/orders......", i)});
    flush(false);
  }
  const std::string entry(220, 'e');
  for (uint64_t i = 0; i < messages; ++i) {
    std::string value = fmt::format("{:016x}", i * 0x9E3779B97F4A7C15ull) + entry;
    batch.puts.push_back({Table::inbox, session_key(i % sessions) + schema::big_endian(i / sessions), value});
    flush(false);
  }
  flush(true);
  // A log as full as a node lets it become before a checkpoint.
  Nobody nobody;
  store->log().start(nobody);
  for (int i = 0; i < 2'000; ++i) {
    Batch tail{0, 0, std::vector<record::Record>(100, publish_of(200)), {}};
    for (const record::Record& r : tail.records) record::encode(tail.encoded, r);
    store->log().append(std::move(tail));
  }
  store->log().stop();
  fmt::print("{} sessions and {} messages in {:.1f} s, log tail {} MiB\n", sessions, messages,
             seconds_since(begin), store->log().tail_bytes() >> 20);
  std::_Exit(0);  // as if killed: the next start finds a journal
}

void open(const std::string& path) {
  const auto begin = Time::now();
  const auto store = must_open(path);
  const double opened = seconds_since(begin);
  uint64_t rows = 0;
  for (const Table table : {Table::session, Table::subscription, Table::retained, Table::group}) {
    (void)store->state().scan(table, "", "",
                              [&](std::string_view, std::string_view) { return ++rows, true; });
  }
  const double scanned = seconds_since(begin);
  uint64_t records = 0;
  const auto replayed =
      store->log().replay(store->state().position(), [&](CommittedBatch&& batch) -> Result<void> {
        records += batch.records.size();
        return {};
      });
  if (!replayed) fmt::print(stderr, "{}\n", replayed.error().message);
  const double all = seconds_since(begin);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("open {:.3f} s, {} rows {:.3f} s, {} records of the log {:.3f} s; all {:.3f} s, {} MiB\n",
             opened, rows, scanned - opened, records, all - scanned, all, usage.ru_maxrss >> 10);
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  if (argc >= 3 && std::strcmp(argv[1], "commits") == 0) {
    commits(argv[2], static_cast<uint32_t>(number(3, 2)), number(4, 50), static_cast<double>(number(5, 5)));
  } else if (argc >= 3 && std::strcmp(argv[1], "fill") == 0) {
    fill(argv[2], number(3, 1'000'000), number(4, 10'000'000));
  } else if (argc >= 3 && std::strcmp(argv[1], "open") == 0) {
    open(argv[2]);
  } else {
    fmt::print(stderr, "usage: store_bench commits|fill|open DIR [NUMBERS]\n");
    return 2;
  }
  return 0;
}
