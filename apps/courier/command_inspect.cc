// courier inspect: what a stopped node has on disk, read by the code that a start uses.
#include <cstdio>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "courier/command.h"
#include "courier/record_line.h"
#include "courier/text_table.h"
#include "record/rows.h"
#include "store/ordered_log.h"
#include "store/rocksdb/inspection.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;
using store::Inspection;
using store::Table;

struct InspectFlags {
  std::string data_dir;
  std::string output = "table";
  std::string mountpoint, id;
  uint64_t limit = 0;
};

// Rows on their way to stdout: an aligned table at the end, an array, or an object a line as they come.
class Listing {
 public:
  Listing(const InspectFlags& flags, std::vector<std::string> heading)
      : flags_(flags), table_(std::move(heading)) {
    if (flags_.output == "json") fmt::print("[");
  }
  // Whether there is room for more.
  bool add(const Json& object, std::vector<std::string> cells) {
    if (flags_.limit != 0 && rows_ == flags_.limit) {
      cut_ = true;
      return false;
    }
    ++rows_;
    if (flags_.output == "table") {
      table_.add(std::move(cells));
    } else {
      const std::string text = object.dump(-1, ' ', false, Json::error_handler_t::replace);
      fmt::print("{}{}{}",
                 flags_.output == "ndjson" ? ""
                 : rows_ == 1              ? "\n  "
                                           : ",\n  ",
                 text, flags_.output == "ndjson" ? "\n" : "");
    }
    return true;
  }
  void end() {
    if (flags_.output == "table") fmt::print("{}", table_.text());
    if (flags_.output == "json") fmt::print("{}]\n", rows_ == 0 ? "" : "\n");
    if (cut_) note("inspect", fmt::format("there are more than {}; -n 0 shows all", rows_));
  }

 private:
  const InspectFlags& flags_;
  TextTable table_;
  uint64_t rows_ = 0;
  bool cut_ = false;
};

// Scans a table, decoding each row with `row`, which may fail or end the scan (false).
Result<void> each_row(const Inspection& store, Table table, std::string_view from, std::string_view to,
                      const std::function<Result<bool>(std::string_view, std::string_view)>& row) {
  std::optional<Error> bad;
  auto scanned = store.scan(table, from, to, [&](std::string_view key, std::string_view value) {
    auto more = row(key, value);
    if (!more) bad = more.error();
    return more && *more;
  });
  if (bad) return fail(*bad);
  return scanned;
}

Result<session::Session> session_of(std::string_view key, std::string_view value) {
  const auto id = record::decode_session_key(key);
  if (!id) return fail(id.error());
  session::Session session;
  session.id = *id;
  const auto decoded = record::decode_session(value, session);
  if (!decoded) return fail(decoded.error().within("session " + session_text(*id)));
  return session;
}

std::string since(const session::Session& session) {
  return session.connected || session.detached_at == 0 ? "" : log::iso8601(session.detached_at);
}

std::string expiry(const session::Session& session) {
  return session.expiry_seconds == session::kNeverExpires ? "never"
                                                          : fmt::format("{} s", session.expiry_seconds);
}

Json to_json(const session::Session& session) {
  Json json = {{"session_id", session_text(session.id)},
               {"mountpoint", session.mountpoint},
               {"client_id", session.client_id},
               {"username", session.username},
               {"protocol", mqtt::name(session.version)},
               {"connected", session.connected},
               {"expiry_seconds", nullptr},
               {"attach_position", session.attach.value},
               {"inbox",
                {{"messages", session.inbox.count()},
                 {"bytes", session.inbox.bytes()},
                 {"first", session.inbox.first()},
                 {"next", session.inbox.next()}}},
               {"qos2_unreleased", session.taken.sorted()}};
  if (session.expiry_seconds != session::kNeverExpires) json["expiry_seconds"] = session.expiry_seconds;
  if (!since(session).empty()) json["disconnected_at"] = since(session);
  if (session.will) {
    json["will"] = {{"topic", session.will->message->topic},
                    {"qos", static_cast<int>(session.will->message->qos)},
                    {"retain", session.will->message->retain},
                    {"delay_seconds", session.will->delay_seconds},
                    {"payload_bytes", session.will->message->payload.size()}};
  }
  return json;
}

// --- summary ---

struct Named {
  Table table;
  const char* name;
};
constexpr Named kTables[] = {
    {Table::session, "sessions"},          {Table::subscription, "sessions with subscriptions"},
    {Table::inbox, "messages in inboxes"}, {Table::retained, "retained messages"},
    {Table::group, "shared groups"},       {Table::group_inbox, "messages in shared groups"}};

int summary(const Inspection& store, const InspectFlags& flags) {
  Json json = {{"position", store.position().value},
               {"log_end", store.log_end().value},
               {"clock", log::iso8601(store.clock())},
               {"rows", Json::object()},
               {"sizes", Json::array()},
               {"notices", store.notices()}};
  std::string text = fmt::format("{:<29}{}\n{:<29}{}\n{:<29}{}\n", "state as of position",
                                 store.position().value, "log ends at", store.log_end().value, "last written",
                                 store.clock() == 0 ? "never" : log::iso8601(store.clock()));
  for (const Named& table : kTables) {
    auto count = store.count(table.table);
    if (!count) return failure("inspect", count.error());
    if (table.table == Table::group) {
      // The owners of a cluster's partitions are a row among the groups.
      const std::string owners = record::group_key({});
      const auto looked =
          store.scan(table.table, owners, owners + '\0', [&](auto, auto) { return --*count, false; });
      if (!looked) return failure("inspect", looked.error());
    }
    json["rows"][table.name] = *count;
    text += fmt::format("{:<29}{}\n", table.name, *count);
  }
  uint64_t shared = 0;
  const auto scanned = store.scan_messages([&](const Inspection::SharedMessage&) { return ++shared != 0; });
  if (!scanned) return failure("inspect", scanned.error());
  json["rows"]["messages named by several"] = shared;
  text += fmt::format("{:<29}{}\n", "messages named by several", shared);
  for (const Inspection::ColumnSize& size : store.sizes()) {
    json["sizes"].push_back(
        {{"column", size.name}, {"bytes", size.bytes}, {"keys_estimated", size.keys_estimated}});
    if (size.bytes > 0)
      text += fmt::format("{:<29}{}\n", "table files of " + size.name, byte_count(size.bytes));
  }
  if (flags.output == "table") {
    fmt::print("{}", text);
  } else {
    fmt::print("{}\n",
               json.dump(flags.output == "json" ? 2 : -1, ' ', false, Json::error_handler_t::replace));
  }
  return kOk;
}

// --- sessions ---

int sessions(const Inspection& store, const InspectFlags& flags) {
  Listing listing(flags, {"SESSION", "MOUNTPOINT", "CLIENT ID", "USER", "MQTT", "STATE", "SINCE", "EXPIRY",
                          "INBOX", "BYTES"});
  const auto done = each_row(store, Table::session, "", "", [&](auto key, auto value) -> Result<bool> {
    const auto session = session_of(key, value);
    if (!session) return fail(session.error());
    return listing.add(to_json(*session),
                       {session_text(session->id), session->mountpoint.str(), session->client_id.str(),
                        session->username.str(), std::string(mqtt::name(session->version)),
                        session->connected ? "connected" : "offline", since(*session), expiry(*session),
                        std::to_string(session->inbox.count()), byte_count(session->inbox.bytes())});
  });
  if (!done) return failure("inspect", done.error());
  listing.end();
  return kOk;
}

std::string_view name(session::Step step) {
  switch (step) {
    case session::Step::queued:
      return "queued";
    case session::Step::sent:
      return "sent";
    case session::Step::received:
      return "received";
  }
  return "";
}

struct InboxRow {
  uint64_t seq = 0;
  Position position;
  mqtt::Qos qos{};
  bool retain = false, sole = false;
  session::Step step{};
  mqtt::MessagePtr message;
};

Result<std::vector<InboxRow>> inbox_of(const Inspection& store, const session::Session& session,
                                       uint64_t limit) {
  std::vector<InboxRow> rows;
  const auto done =
      each_row(store, Table::inbox, record::inbox_key(session.id, 0),
               record::inbox_key(session.id, UINT64_MAX), [&](auto key, auto value) -> Result<bool> {
                 if (limit != 0 && rows.size() == limit) return false;
                 const auto at = record::decode_inbox_key(key);
                 if (!at) return fail(at.error());
                 auto entry = record::decode_entry(value);
                 if (!entry) return fail(entry.error());
                 InboxRow row{at->seq,     entry->position,       entry->qos,    entry->retain,
                              entry->sole, session::Step::queued, entry->message};
                 for (const auto& step : session.inbox.steps()) {
                   if (step.seq == row.seq) row.step = step.step;
                 }
                 rows.push_back(std::move(row));
                 return true;
               });
  if (!done) return fail(done.error());
  for (InboxRow& row : rows) {
    if (row.message) continue;
    auto shared = store.load_messages({row.position});
    if (!shared) return fail(shared.error());
    row.message = shared->front();
  }
  return rows;
}

int session(const Inspection& store, const InspectFlags& flags) {
  std::optional<session::Session> found;
  auto done = each_row(store, Table::session, "", "", [&](auto key, auto value) -> Result<bool> {
    auto session = session_of(key, value);
    if (!session) return fail(session.error());
    const bool is_it = (session->client_id == flags.id && session->mountpoint == flags.mountpoint) ||
                       session_text(session->id) == flags.id;
    if (is_it) found = *std::move(session);
    return !is_it;
  });
  if (!done) return failure("inspect", done.error());
  if (!found) {
    note("inspect",
         fmt::format("there is no stored session of client \"{}\"; client ids are case-sensitive, and "
                     "those of a listener with a mountpoint need -M",
                     one_line(flags.id)));
    return kFailure;
  }
  record::Subscriptions subscriptions;
  const std::string key = record::session_key(found->id);
  done = each_row(store, Table::subscription, key, key + '\0', [&](auto, auto value) -> Result<bool> {
    auto decoded = record::decode_subscriptions(value);
    if (!decoded) return fail(decoded.error());
    subscriptions = *std::move(decoded);
    return true;
  });
  if (!done) return failure("inspect", done.error());
  const auto inbox = inbox_of(store, *found, flags.limit);
  if (!inbox) return failure("inspect", inbox.error());

  Json json = to_json(*found);
  json["subscriptions"] = Json::array();
  for (const record::Subscription& one : subscriptions.filters) {
    json["subscriptions"].push_back({{"filter", one.filter},
                                     {"qos", static_cast<int>(one.options.qos)},
                                     {"identifier", one.subscription_identifier}});
  }
  TextTable messages(
      {"SEQ", "PACKET ID", "POSITION", "QOS", "STEP", "RETAIN", "TOPIC", "PAYLOAD", "EXPIRES"});
  json["messages"] = Json::array();
  for (const InboxRow& row : *inbox) {
    const uint16_t id = session::packet_id_of(row.seq).value;
    const std::string expires = row.message->expires_at == 0 ? "" : log::iso8601(row.message->expires_at);
    json["messages"].push_back({{"seq", row.seq},
                                {"packet_id", id},
                                {"position", row.position.value},
                                {"qos", static_cast<int>(row.qos)},
                                {"step", name(row.step)},
                                {"retain", row.retain},
                                {"topic", row.message->topic},
                                {"payload_bytes", row.message->payload.size()},
                                {"expires_at", expires}});
    messages.add({std::to_string(row.seq), std::to_string(id), std::to_string(row.position.value),
                  std::to_string(static_cast<int>(row.qos)), std::string(name(row.step)),
                  row.retain ? "yes" : "", std::string(row.message->topic),
                  byte_count(row.message->payload.size()), expires});
  }
  if (flags.output != "table") {
    fmt::print("{}\n",
               json.dump(flags.output == "json" ? 2 : -1, ' ', false, Json::error_handler_t::replace));
    return kOk;
  }
  const auto line = [](std::string_view title, std::string_view text) {
    fmt::print("{:<17}{}\n", title, one_line(text));
  };
  line("session", session_text(found->id));
  line("client id", found->client_id);
  if (!found->mountpoint.empty()) line("mountpoint", found->mountpoint);
  line("user", found->username);
  line("MQTT", mqtt::name(found->version));
  line("state", found->connected ? "connected when the node stopped" : "offline since " + since(*found));
  line("expiry", expiry(*found));
  line("attach position", std::to_string(found->attach.value));
  if (found->will) {
    line("will", fmt::format("{}, QoS {}, delay {} s", found->will->message->topic,
                             static_cast<int>(found->will->message->qos), found->will->delay_seconds));
  }
  if (found->taken.size() > 0) line("QoS 2 unreleased", fmt::format("{} packet ids", found->taken.size()));
  for (const record::Subscription& one : subscriptions.filters) {
    line("subscription", fmt::format("QoS {}  {}", static_cast<int>(one.options.qos), one.filter));
  }
  line("inbox",
       fmt::format("{} messages, {}, next packet id {}", found->inbox.count(),
                   byte_count(found->inbox.bytes()), session::packet_id_of(found->inbox.next()).value));
  if (!inbox->empty()) fmt::print("\n{}", messages.text());
  if (inbox->size() < found->inbox.count())
    note("inspect",
         fmt::format("{} of {} messages are shown; -n 0 shows all", inbox->size(), found->inbox.count()));
  return kOk;
}

// --- the rest ---

int retained(const Inspection& store, const InspectFlags& flags) {
  Listing listing(flags, {"MOUNTPOINT", "TOPIC", "QOS", "PAYLOAD", "POSITION", "EXPIRES"});
  const auto done = each_row(store, Table::retained, "", "", [&](auto, auto value) -> Result<bool> {
    const auto row = record::decode_retained(value);
    if (!row) return fail(row.error());
    const mqtt::Message& message = *row->message;
    const std::string expires = message.expires_at == 0 ? "" : log::iso8601(message.expires_at);
    return listing.add(
        {{"mountpoint", row->mountpoint},
         {"topic", message.topic},
         {"qos", static_cast<int>(message.qos)},
         {"payload_bytes", message.payload.size()},
         {"position", row->position.value},
         {"expires_at", expires}},
        {row->mountpoint, std::string(message.topic), std::to_string(static_cast<int>(message.qos)),
         byte_count(message.payload.size()), std::to_string(row->position.value), expires});
  });
  if (!done) return failure("inspect", done.error());
  listing.end();
  return kOk;
}

int groups(const Inspection& store, const InspectFlags& flags) {
  Listing listing(flags, {"GROUP", "MOUNTPOINT", "NAME", "FILTER", "MEMBERS", "CONNECTED", "MESSAGES"});
  const auto done = each_row(store, Table::group, "", "", [&](auto key, auto value) -> Result<bool> {
    if (key == record::group_key({})) return true;  // of a cluster: the owners of partitions
    const auto group = record::decode_group(value);
    if (!group) return fail(group.error());
    uint64_t entries = 0;
    const auto counted = store.scan(Table::group_inbox, record::group_inbox_key(group->id, 0),
                                    record::group_inbox_key(group->id, UINT64_MAX),
                                    [&](std::string_view, std::string_view) { return ++entries != 0; });
    if (!counted) return fail(counted.error());
    Json members = Json::array();
    uint64_t connected = 0;
    for (const auto& [id, member] : group->members) {
      connected += member.connected;
      members.push_back({{"session_id", session_text(id)},
                         {"qos", static_cast<int>(member.options.qos)},
                         {"connected", member.connected},
                         {"leaving", member.leaving}});
    }
    return listing.add(
        {{"group", group->id.value},
         {"mountpoint", group->mountpoint},
         {"name", group->name},
         {"filter", group->filter},
         {"members", std::move(members)},
         {"messages", entries}},
        {std::to_string(group->id.value), group->mountpoint, group->name, group->filter,
         std::to_string(group->members.size()), std::to_string(connected), std::to_string(entries)});
  });
  if (!done) return failure("inspect", done.error());
  listing.end();
  return kOk;
}

int log_tail(const Inspection& store, const InspectFlags& flags) {
  Listing listing(flags, {"POSITION", "TIME", "RECORD", "FACTS"});
  bool full = false;
  const auto done = store.read_log([&](store::CommittedBatch&& batch) -> Result<void> {
    for (size_t i = 0; i < batch.records.size() && !full; ++i) {
      const uint64_t position = batch.first.value + i;
      const std::string time = log::iso8601(batch.clock), kind = record_name(batch.records[i]),
                        facts = record_facts(batch.records[i]);
      full = !listing.add({{"position", position}, {"time", time}, {"record", kind}, {"facts", facts}},
                          {std::to_string(position), time, kind, facts});
    }
    return {};
  });
  if (!done) return failure("inspect", done.error());
  listing.end();
  return kOk;
}

using Show = int (*)(const Inspection&, const InspectFlags&);

int inspect(const InspectFlags& flags, Show show) {
  const auto store = Inspection::open(flags.data_dir);
  if (!store) return failure("inspect", store.error());
  for (const std::string& notice : (*store)->notices()) note("inspect", notice);
  const uint64_t unapplied = (*store)->log_end().value - (*store)->position().value;
  if (unapplied > 0 && show != log_tail) {
    note("inspect",
         fmt::format("tables are as of position {}; {} records after it are in the log (`courier inspect "
                     "{} log`) and are applied at the next start",
                     (*store)->position().value, unapplied, flags.data_dir));
  }
  return show(**store, flags);
}

}  // namespace

Run set_up_inspect(CLI::App& app) {
  auto flags = std::make_shared<InspectFlags>();
  flags->limit = 1'000;
  app.set_help_flag("--help,-h", "Show this help and exit");
  app.add_option("DATA_DIR", flags->data_dir, "courierd's data_dir, or a backup")->required();
  const auto options = [&](CLI::App& to) {
    add_output(to, flags->output, kLineEach);
    to.add_option("-n,--limit", flags->limit, "At most so many rows (1000); 0: all")->type_name("COUNT");
  };
  options(app);
  app.require_subcommand(0, 1);
  auto shows = std::make_shared<std::vector<std::pair<CLI::App*, Show>>>();
  const auto add = [&](const char* name, const char* help, Show show) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->set_help_flag("--help,-h", "Show this help and exit");
    options(*sub);
    shows->emplace_back(sub, show);
    return sub;
  };
  add("sessions", "List the stored sessions", sessions);
  CLI::App* one = add("session", "Show one session with its subscriptions and messages", session);
  one->add_option("ID", flags->id, "Its client id, or its session id")->required();
  one->add_option("-M,--mountpoint", flags->mountpoint,
                  "Of the listener that the client uses; most have none")
      ->type_name("NAME");
  add("retained", "List the retained messages", retained);
  add("groups", "List the shared groups", groups);
  add("log", "List the records that the next start will apply", log_tail);
  app.footer(
      "The node must be stopped; what is wrong with the data is said as a start would say it. Nothing is "
      "changed.\n"
      "For a running node: courier client, courier node.\n\n"
      "Examples:\n"
      "  courier inspect /var/lib/courier\n"
      "  courier inspect /var/lib/courier session phone-4711\n"
      "  courier inspect /var/lib/courier sessions -n 0 -o ndjson | jq 'select(.inbox.messages > 0)'");
  return [flags, shows] {
    for (const auto& [sub, show] : *shows) {
      if (sub->parsed()) return inspect(*flags, show);
    }
    return inspect(*flags, summary);
  };
}

}  // namespace courier::cli
