#include "audit.h"

#include <map>

#include "record/rows.h"

namespace courier::sim {

namespace {

using store::MemoryImage;
using store::Table;

// A row without what may differ. Where an inbox begins is known less well after a start, since rows that are
// gone are seen only when somebody looks for them. Whether a message stands in its row or in the table of
// shared messages: clean sessions that had it too are not stored.
std::string comparable(Table table, const std::string& key, const std::string& value) {
  if (table == Table::inbox) {
    auto entry = record::decode_entry(value);
    if (!entry) return "damaged " + key;
    entry->sole = false;
    return record::encode_entry(*entry);
  }
  if (table != Table::session) return value;
  session::Session session;
  if (!record::decode_session(value, session)) return "damaged " + key;
  const session::Inbox& inbox = session.inbox;
  const uint64_t next = inbox.next(), count = inbox.count(), bytes = inbox.bytes();
  std::vector<session::Inbox::StepOf> steps = inbox.steps();
  session.inbox.restore(count == 0 ? next : 0, next, count, bytes, std::move(steps));
  return record::encode_session(session);
}

const char* name(Table table) {
  switch (table) {
    case Table::session:
      return "session";
    case Table::subscription:
      return "subscription";
    case Table::inbox:
      return "inbox";
    case Table::retained:
      return "retained";
    case Table::group:
      return "group";
    case Table::group_inbox:
      return "group_inbox";
    case Table::event:
      return "event";
  }
  return "";
}

// Every shared message is counted as often as rows name it.
void check_references(const MemoryImage& image, std::vector<std::string>& faults) {
  std::map<Position, int64_t> named;
  for (const auto& [key, value] : image.tables[static_cast<size_t>(Table::inbox)]) {
    const auto entry = record::decode_entry(value);
    if (entry && !entry->sole) ++named[entry->position];
  }
  for (const auto& [position, message] : image.messages) {
    if (named[position] != message.count) {
      faults.push_back("the message of position " + std::to_string(position.value) + " is counted " +
                       std::to_string(message.count) + " times, and named " +
                       std::to_string(named[position]) + " times");
    }
  }
  for (const auto& [position, times] : named) {
    if (!image.messages.contains(position)) {
      faults.push_back("the message of position " + std::to_string(position.value) + " is gone, and named " +
                       std::to_string(times) + " times");
    }
  }
}

}  // namespace

Result<MemoryImage> stored_by(World::Options options, MemoryImage image) {
  const WallMs clock = image.clock;
  World world(std::move(options), std::move(image));
  world.clock().set_wall(clock);
  const auto started = world.start();
  if (!started) return fail(started.error());
  world.quiesce();
  world.node().checkpoint();
  world.quiesce();
  return world.image();
}

std::vector<std::string> differences(const MemoryImage& one, const MemoryImage& other) {
  std::vector<std::string> faults;
  for (size_t i = 0; i < store::kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    const auto& rows = one.tables[i];
    const auto& expected = other.tables[i];
    const auto aside = [&](const std::string& key) {
      return table == Table::group && key == record::group_key({});
    };
    for (const auto& [key, value] : expected) {
      if (aside(key)) continue;
      const auto row = rows.find(key);
      if (row == rows.end()) {
        faults.push_back(std::string("the table ") + name(table) + " lacks a row that the log brings");
      } else if (comparable(table, key, row->second) != comparable(table, key, value)) {
        faults.push_back(std::string("a row of the table ") + name(table) + " is not as the log says");
      }
    }
    for (const auto& [key, value] : rows) {
      if (!aside(key) && !expected.contains(key))
        faults.push_back(std::string("the table ") + name(table) + " has a row that the log does not bring");
    }
  }
  for (const MemoryImage* each : {&one, &other}) check_references(*each, faults);
  return faults;
}

std::vector<std::string> audit(const MemoryImage& image, const std::deque<MemoryImage::LogEntry>& whole_log,
                               const World::Options& options) {
  MemoryImage from_the_beginning;
  from_the_beginning.log = whole_log;
  from_the_beginning.next = image.next;
  from_the_beginning.clock = image.clock;
  World::Options other = options;
  other.shards = options.shards % 3 + 1;
  const auto one = stored_by(options, image);
  const auto two = stored_by(other, std::move(from_the_beginning));
  if (!one) return {"the state cannot be loaded: " + one.error().message};
  if (!two) return {"the log cannot be replayed: " + two.error().message};

  std::vector<std::string> faults = differences(*one, *two);
  check_references(image, faults);
  return faults;
}

}  // namespace courier::sim
