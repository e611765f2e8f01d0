// Makes the data directory that golden_store_test.cc opens. Run once for each format of the store, with the
// code of that time; what is committed is never made again:
//
//   make_golden_store test/golden/store_v1 && make_golden_store test/golden/store_v1_killed killed
#include <cstdio>
#include <cstdlib>

#include "golden_store.h"
#include "record/codec.h"
#include "store/rocksdb/rocks_store.h"

namespace {

using namespace courier;
using namespace courier::store;

class FixedClock : public Clock {
 public:
  WallMs wall_ms() const override { return golden::kClock; }
  MonoNs mono_ns() const override { return 0; }
};

class Nobody : public LogReader {
 public:
  void on_committed(std::span<CommittedBatch>) override {}
  void on_state(const LogState&) override {}
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: make_golden_store FOLDER [killed]\n");
    return 2;
  }
  const FixedClock clock;
  const auto store = RocksStore::open({.data_dir = argv[1], .clock = &clock, .file_system = nullptr});
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    return 1;
  }
  Nobody nobody;
  (*store)->log().start(nobody);
  for (const record::Record& record : golden::log_records()) {
    Batch batch{0, 0, {record}, {}};
    record::encode(batch.encoded, record);
    (*store)->log().append(std::move(batch));
  }
  (*store)->log().stop();
  const auto written = (*store)->state().write(golden::state(), Position(golden::kPosition));
  if (!written) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return 1;
  }
  if (argc == 3) std::_Exit(0);  // nothing is flushed: all is in the journal
  return 0;
}
