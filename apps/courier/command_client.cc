// courier client: who is connected, one client in full, disconnecting one, watching its packets.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "admin/target.h"
#include "courier/admin_client.h"
#include "courier/json_text.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ClientFlags {
  AdminFlags admin;
  std::string output = "table";
  std::string mountpoint, prefix, id;
  std::vector<std::string> ids;
  bool connected = false, disconnected = false;
  uint64_t limit = 1'000;
  uint64_t count = 0;
  uint32_t timeout = 0;
};

constexpr uint64_t kPage = 1'000;

std::string text_of(const Json& value) {
  if (value.is_null()) return "never";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string field(const Json& object, const char* name) {
  const auto value = object.find(name);
  return value == object.end() ? "" : text_of(*value);
}

// --- ls ---

std::string clients_table(const std::vector<Json>& clients) {
  TextTable table({"CLIENT ID", "MOUNTPOINT", "STATE", "SINCE", "PEER", "LISTENER", "USER", "MQTT", "SUBS",
                   "INBOX", "IN FLIGHT"});
  for (const Json& client : clients) {
    const bool connected = client.value("connected", false);
    const Json inbox = client.value("inbox", Json::object());
    table.add({field(client, "client_id"), field(client, "mountpoint"), connected ? "connected" : "offline",
               field(client, connected ? "connected_at" : "disconnected_at"), field(client, "peer"),
               field(client, "listener"), field(client, "username"), field(client, "protocol"),
               field(client, "subscriptions"), field(inbox, "messages"), field(client, "in_flight")});
  }
  return table.text();
}

int list(const ClientFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "client ls");
  if (!admin) return admin.error();
  std::vector<Json> clients;  // for ndjson they are printed as they come
  uint64_t printed = 0;
  std::string cursor;
  do {
    const uint64_t wanted = flags.limit == 0 ? kPage : std::min(kPage, flags.limit - printed);
    std::string path = fmt::format("/v1/clients?limit={}", wanted);
    const auto add = [&](std::string_view name, const std::string& value) {
      if (!value.empty()) path += fmt::format("&{}={}", name, admin::percent_encode(value));
    };
    add("mountpoint", flags.mountpoint);
    add("prefix", flags.prefix);
    add("connected", flags.connected ? "true" : flags.disconnected ? "false" : "");
    add("cursor", cursor);
    auto page = admin->ask_json("GET", path);
    if (!page) return page.error();
    for (Json& client : (*page)["clients"]) {
      ++printed;
      if (flags.output == "ndjson") {
        print_json(client, -1);
      } else {
        clients.push_back(std::move(client));
      }
    }
    cursor = page->value("next_cursor", "");
  } while (!cursor.empty() && (flags.limit == 0 || printed < flags.limit));
  if (flags.output == "table") fmt::print("{}", clients_table(clients));
  if (flags.output == "json") print_json(Json(std::move(clients)), 2);
  if (!cursor.empty()) admin->say(fmt::format("there are more than {}; -n 0 shows all", printed));
  return kOk;
}

// --- show ---

std::string parts_of(const Json& object) {
  std::string parts;
  for (const auto& [part, inner] : object.items()) {
    parts += fmt::format("{}{}={}", parts.empty() ? "" : "  ", part, text_of(inner));
  }
  return parts;
}

std::string client_text(const Json& client) {
  std::string out;
  const auto line = [&](std::string_view name, std::string_view text) {
    std::string row = fmt::format("{:<20}{}", name, one_line(text));
    row.erase(row.find_last_not_of(' ') + 1);
    out += row + "\n";
  };
  for (const auto& [name, value] : client.items()) {
    std::string title = name;
    std::replace(title.begin(), title.end(), '_', ' ');
    if (name == "subscriptions") {
      line(title, std::to_string(value.size()));
      for (const Json& one : value) {
        std::string options;
        for (const char* flag : {"no_local", "retain_as_published"}) {
          if (one.value(flag, false)) options += fmt::format("  {}", flag);
        }
        if (one.contains("identifier")) options += fmt::format("  identifier={}", one["identifier"].dump());
        line("", fmt::format("QoS {}  {}{}", field(one, "qos"), field(one, "filter"), options));
      }
    } else if (value.is_object()) {
      line(title, parts_of(value));
    } else if (value.is_array()) {
      line(title, std::to_string(value.size()));
      for (const Json& one : value) line("", parts_of(one));
    } else {
      line(title, text_of(value));
    }
  }
  return out;
}

int show(const ClientFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "client show");
  if (!admin) return admin.error();
  const auto client = admin->ask_json("GET", path_of_client(flags.id, "", flags.mountpoint));
  if (!client) return client.error();
  if (flags.output == "table") {
    fmt::print("{}", client_text(*client));
  } else {
    print_json(*client, flags.output == "json" ? 2 : -1);
  }
  return kOk;
}

// --- kick ---

int kick(const ClientFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "client kick");
  if (!admin) return admin.error();
  int exit = kOk;
  for (const std::string& id : flags.ids) {
    const auto done = admin->ask_json("DELETE", path_of_client(id, "", flags.mountpoint));
    if (!done) {
      exit = done.error();
      if (exit != kFailure) return exit;  // the others would fare no better
    } else if (flags.output == "table") {
      fmt::print("{} disconnected\n", one_line(id));
    } else {
      print_json(*done, -1);
    }
  }
  return exit;
}

// --- trace ---

int trace(const ClientFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "client trace");
  if (!admin) return admin.error();
  uint64_t packets = 0;
  const auto on_line = [&](std::string_view text) {
    const Json line = Json::parse(text, nullptr, false);
    if (!line.is_object()) return true;
    const std::string event = line.value("event", "");
    if (flags.output != "table") {
      fmt::print("{}\n", text);
    } else if (event == "started") {
      admin->say(line.value("connected", false) ? "tracing; Ctrl-C ends it"
                                                : "not connected; waiting for it to come. Ctrl-C ends it");
    } else if (event == "dropped") {
      admin->say(fmt::format("{} packets are missing here: they came faster than they could be shown",
                             field(line, "lines")));
    } else {
      fmt::print("{}  {}  {}\n", field(line, "time"),
                 line.value("direction", "") == "in" ? "client >" : "broker >",
                 one_line(field(line, "packet")));
    }
    std::fflush(stdout);
    if (line.contains("packet")) ++packets;
    return std::ferror(stdout) == 0 && (flags.count == 0 || packets < flags.count);
  };
  return admin->follow(path_of_client(flags.id, "/trace", flags.mountpoint),
                       std::chrono::seconds(flags.timeout), on_line);
}

CLI::App* add(CLI::App& app, ClientFlags& flags, const char* name, const char* summary) {
  CLI::App* command = app.add_subcommand(name, summary);
  command->set_help_flag("--help,-h", "Show this help and exit");
  command
      ->add_option("-M,--mountpoint", flags.mountpoint,
                   "Of the listener that the client uses; most have none")
      ->type_name("NAME");
  add_output(*command, flags.output, kLineEach);
  flags.admin.add_to(*command);
  return command;
}

}  // namespace

Run set_up_client(CLI::App& app) {
  auto flags = std::make_shared<ClientFlags>();
  app.require_subcommand(1);
  app.footer(
      fmt::format("{}\n\n"
                  "Examples:\n"
                  "  courier client ls --connected\n"
                  "  courier client show phone-4711\n"
                  "  courier client trace phone-4711\n\n"
                  "`courier client COMMAND --help` says more about each.",
                  kAdminHelp));

  CLI::App* listing = add(app, *flags, "ls", "List clients, connected or with a stored session");
  listing->add_option("-p,--prefix", flags->prefix, "Only client ids that begin so")->type_name("TEXT");
  CLI::Option* connected =
      listing->add_flag("--connected", flags->connected, "Only those that are connected");
  listing->add_flag("--offline", flags->disconnected, "Only those that are not")->excludes(connected);
  listing->add_option("-n,--limit", flags->limit, "At most so many (1000); 0: all")->type_name("COUNT");
  listing->footer(
      "In order of mountpoint and client id. INBOX: messages of QoS 1 and 2 that the client is still "
      "owed.\n\n"
      "Examples:\n"
      "  courier client ls --offline -p phone-\n"
      "  courier client ls -n 0 -o ndjson | jq -r 'select(.inbox.messages > 100) | .client_id'");

  CLI::App* showing = add(app, *flags, "show", "Show one client: connection, session, inbox, subscriptions");
  showing->add_option("ID", flags->id, "Its client id")->required();
  showing->footer("Example:\n  courier client show phone-4711 -o json");

  CLI::App* kicking = add(app, *flags, "kick", "Disconnect clients; their sessions and messages stay");
  kicking->add_option("ID", flags->ids, "Client ids")->required();
  kicking->footer(
      "MQTT 5.0 clients are told so (DISCONNECT 0x98). Nothing keeps them from coming back.\n"
      "Exit code 1 if one of them was not connected.\n\n"
      "Example:\n  courier client kick phone-4711 phone-4712");

  CLI::App* tracing = add(app, *flags, "trace", "Show one client's packets, live");
  tracing->add_option("ID", flags->id, "Its client id; it need not be connected yet")->required();
  tracing->add_option("-C,--count", flags->count, "End after so many packets")
      ->type_name("COUNT")
      ->check(positive());
  tracing->add_option("-W,--timeout", flags->timeout, "End after so many seconds, with exit code 5")
      ->type_name("SECONDS")
      ->check(positive());
  tracing->footer(
      "Payloads are shown by size, never by content. `client >` is from the client, `broker >` to it.\n\n"
      "Example: one packet of a phone that is to come\n  courier client trace phone-4711 -C 1 -W 60");

  return [flags, listing, showing, kicking] {
    if (listing->parsed()) return list(*flags);
    if (showing->parsed()) return show(*flags);
    if (kicking->parsed()) return kick(*flags);
    return trace(*flags);
  };
}

}  // namespace courier::cli
