#include "import/recovery.h"

#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "auth/acl/rules.h"
#include "auth/anonymous.h"
#include "base/check.h"
#include "base/metrics.h"
#include "broker/node.h"

namespace courier::courierd {

namespace {

class FixedClock final : public Clock {
 public:
  explicit FixedClock(WallMs now) : now_(now) {}
  WallMs wall_ms() const override { return now_; }
  MonoNs mono_ns() const override { return 0; }

 private:
  const WallMs now_;
};

// The store as a node's log, of which only what is in it and the end of the run come back. One thread.
class EndedLog final : public store::OrderedLog {
 public:
  explicit EndedLog(const store::Inspection& source) : source_(source) {}

  Result<void> replay(Position, const std::function<Result<void>(store::CommittedBatch&&)>& fold) override {
    return source_.read_log(fold);
  }
  void start(store::LogReader& reader) override { reader_ = &reader; }
  void stop() override {}
  void append(store::Batch batch) override {
    if (!first_) first_ = std::move(batch);
  }
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  store::LogState state() const override { return {}; }
  uint64_t tail_bytes() const override { return 0; }

  // What a run begins with: that the one before is over.
  void commit_first(Position at, WallMs clock) {
    CHECK(first_ && first_->records.size() == 1);
    store::CommittedBatch batch{at, clock, first_->origin, first_->ticket, std::move(first_->records), {}, 0};
    reader_->on_committed({&batch, 1});
  }
  void run_tasks() {
    for (; !tasks_.empty(); tasks_.pop_front()) tasks_.front()();
  }

 private:
  const store::Inspection& source_;
  store::LogReader* reader_ = nullptr;
  std::optional<store::Batch> first_;
  std::deque<std::function<void()>> tasks_;
};

// The store's tables, and what a checkpoint would write over them.
class SourceState final : public store::StateStore {
 public:
  explicit SourceState(const store::Inspection& source) : source_(source) {}

  Position position() const override { return source_.position(); }
  uint64_t cursor() const override { return 0; }
  WallMs clock() const override { return source_.clock(); }
  Result<void> write(const std::vector<store::StateBatch>& parts, Position position, uint64_t,
                     WallMs) override {
    written_ = Recovered{parts, position};
    return {};
  }
  Result<void> scan(
      store::Table table, std::string_view from, std::string_view to,
      const std::function<bool(std::string_view key, std::string_view value)>& row) const override {
    return source_.scan(table, from, to, row);
  }
  Result<std::vector<mqtt::MessagePtr>> load_messages(const std::vector<Position>& positions) const override {
    return source_.load_messages(positions);
  }
  Result<void> backup(const std::string&) override {
    CHECK(false);
    return {};
  }

  std::optional<Recovered>& written() { return written_; }

 private:
  const store::Inspection& source_;
  std::optional<Recovered> written_;
};

// Mail and work in one line, done when asked.
class Line final : public broker::Post {
 public:
  void post(uint32_t, broker::Mail mail) override {
    work_.emplace_back([this, held = std::make_shared<broker::Mail>(std::move(mail))] {
      node_->shard(0).on_mail(std::move(*held));
    });
  }
  void run_on_worker(std::function<void()> task) override { work_.push_back(std::move(task)); }
  void work_off(broker::Node& node) {
    node_ = &node;
    for (; !work_.empty(); work_.pop_front()) work_.front()();
  }

 private:
  broker::Node* node_ = nullptr;
  std::deque<std::function<void()>> work_;
};

}  // namespace

Result<Recovered> recover(const store::Inspection& source, WallMs now) {
  const FixedClock clock(now);
  EndedLog log(source);
  SourceState state(source);
  Line line;
  auth::Anonymous authenticator(auth::Anonymous::Names::unchecked);  // nobody comes
  const auto rules = auth::acl::Rules::open("");
  if (!rules) return fail(rules.error());
  Registry metrics;
  broker::NodeOptions options;
  options.sys_interval_ms = 0;
  const broker::Limits limits;  // are looked at when something is appended, which does not come back here
  broker::Node node(options, limits, log, state, clock, line, authenticator, **rules, metrics);
  if (const auto started = node.start(); !started) return fail(started.error());
  log.commit_first(Position(source.log_end().value + 1), now);
  line.work_off(node);
  node.checkpoint();
  log.run_tasks();
  line.work_off(node);
  CHECK(state.written().has_value());
  return *std::move(state.written());
}

}  // namespace courier::courierd
