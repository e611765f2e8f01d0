// courier ban: who may not come in: make a ban, list them, remove some.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "admin/target.h"
#include "config/quantity.h"
#include "courier/admin_client.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BanFlags {
  AdminFlags admin;
  std::string output = "table";
  std::string address, username, client_id, mountpoint, duration, reason;
  bool in_mountpoint = false;
  uint64_t limit = 1'000;
  std::vector<uint64_t> ids;
};

constexpr uint64_t kBanPage = 1'000;

void print_ban(const Json& json, int indent) {
  fmt::print("{}\n", json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

std::string ban_field(const Json& ban, const char* name) {
  const auto value = ban.find(name);
  if (value == ban.end()) return {};
  return value->is_string() ? value->get<std::string>() : value->is_null() ? "for ever" : value->dump();
}

std::string bans_table(const std::vector<Json>& bans) {
  TextTable table(
      {"ID", "ADDRESS", "USER", "CLIENT ID", "MOUNTPOINT", "UNTIL", "MADE BY", "SINCE", "REASON"});
  for (const Json& ban : bans) {
    const bool named = ban.contains("mountpoint");
    table.add({ban_field(ban, "id"), ban_field(ban, "address"), ban_field(ban, "username"),
               ban_field(ban, "client_id"), named ? fmt::format("\"{}\"", ban_field(ban, "mountpoint")) : "",
               ban_field(ban, "until"), ban_field(ban, "made_by"), ban_field(ban, "made_at"),
               ban_field(ban, "reason")});
  }
  return table.text();
}

int add_ban(const BanFlags& flags) {
  Json body = Json::object();
  const std::pair<const char*, const std::string*> targets[] = {
      {"address", &flags.address}, {"username", &flags.username}, {"client_id", &flags.client_id}};
  for (const auto& [name, value] : targets) {
    if (!value->empty()) body[name] = *value;
  }
  if (body.size() != 1) {
    note("ban add", "a ban is of one thing: --address, --username or --client-id");
    return kUsage;
  }
  if (flags.in_mountpoint) body["mountpoint"] = flags.mountpoint;
  if (!flags.duration.empty()) {
    const auto ms = config::parse_duration_ms(flags.duration);
    if (!ms || *ms < 1000) {
      note("ban add", fmt::format("\"{}\" is no time to ban for; write 30s, 10m, 1h or 7d", flags.duration));
      return kUsage;
    }
    body["seconds"] = *ms / 1000;
  }
  body["reason"] = flags.reason;
  const char* user = std::getenv("USER");
  body["made_by"] = user ? std::string(user).substr(0, 64) : "courier ban";
  auto admin = AdminClient::open(flags.admin, "ban add");
  if (!admin) return admin.error();
  const auto ban =
      admin->ask_json("POST", "/v1/bans", body.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!ban) return ban.error();
  if (flags.output == "table") {
    fmt::print("ban {} holds{}\n", ban_field(*ban, "id"),
               (*ban)["until"].is_null() ? " for ever" : " until " + ban_field(*ban, "until"));
  } else {
    print_ban(*ban, flags.output == "json" ? 2 : -1);
  }
  return kOk;
}

int list_bans(const BanFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "ban ls");
  if (!admin) return admin.error();
  std::vector<Json> bans;
  uint64_t shown = 0;
  std::string cursor;
  do {
    const uint64_t wanted = flags.limit == 0 ? kBanPage : std::min(kBanPage, flags.limit - shown);
    std::string path = fmt::format("/v1/bans?limit={}", wanted);
    if (!cursor.empty()) path += "&cursor=" + admin::percent_encode(cursor);
    auto page = admin->ask_json("GET", path);
    if (!page) return page.error();
    for (Json& ban : (*page)["bans"]) {
      ++shown;
      if (flags.output == "ndjson") {
        print_ban(ban, -1);
      } else {
        bans.push_back(std::move(ban));
      }
    }
    cursor = page->value("next_cursor", "");
  } while (!cursor.empty() && (flags.limit == 0 || shown < flags.limit));
  if (flags.output == "table") fmt::print("{}", bans_table(bans));
  if (flags.output == "json") print_ban(Json(std::move(bans)), 2);
  if (!cursor.empty()) admin->say(fmt::format("there are more than {}; -n 0 shows all", shown));
  return kOk;
}

int remove_bans(const BanFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "ban rm");
  if (!admin) return admin.error();
  int exit = kOk;
  for (const uint64_t id : flags.ids) {
    const auto ban = admin->ask_json("DELETE", fmt::format("/v1/bans/{}", id));
    if (!ban) {
      exit = ban.error();
      if (exit != kFailure) return exit;  // the others would fare no better
    } else if (flags.output == "table") {
      fmt::print("ban {} removed\n", id);
    } else {
      print_ban(*ban, -1);
    }
  }
  return exit;
}

CLI::App* ban_command(CLI::App& app, BanFlags& flags, const char* name, const char* summary) {
  CLI::App* made = app.add_subcommand(name, summary);
  made->set_help_flag("--help,-h", "Show this help and exit");
  add_output(*made, flags.output, kLineEach);
  made->add_flag_callback(
      "--json", [&flags] { flags.output = "json"; }, "The same as -o json");
  flags.admin.add_to(*made);
  return made;
}

}  // namespace

Run set_up_ban(CLI::App& app) {
  auto flags = std::make_shared<BanFlags>();
  app.require_subcommand(1);
  app.footer(
      fmt::format("{}\n\n"
                  "Examples:\n"
                  "  courier ban add --address 192.0.2.0/24 --for 1h --reason 'scans'\n"
                  "  courier ban ls\n"
                  "  courier ban rm 17\n\n"
                  "`courier ban COMMAND --help` says more about each.",
                  kAdminHelp));

  CLI::App* adding = ban_command(app, *flags, "add", "Ban an address, a user name or a client id");
  adding->add_option("-a,--address", flags->address, "An address, or a network such as 192.0.2.0/24")
      ->type_name("ADDRESS");
  adding->add_option("-u,--username", flags->username, "A user name")->type_name("NAME");
  adding->add_option("-i,--client-id", flags->client_id, "A client id")->type_name("ID");
  adding
      ->add_option_function<std::string>(
          "-M,--mountpoint",
          [flags](const std::string& name) {
            flags->mountpoint = name;
            flags->in_mountpoint = true;
          },
          "Of names: in this mountpoint only; without it, in all")
      ->type_name("NAME");
  adding->add_option("--for", flags->duration, "For how long: 30s, 10m, 1h, 7d; without it, for ever")
      ->type_name("TIME");
  adding->add_option("-r,--reason", flags->reason, "Why, for whoever reads the list or the log")
      ->type_name("TEXT");
  adding->footer(
      "Holds at once, survives a restart, and ends the connections that it hits. A ban of the same takes "
      "its\n"
      "place. Addresses are those of clients, behind a PROXY header the real ones. Clients hear CONNACK "
      "0x8A\n"
      "(3.x: return code 5); banned addresses are closed before TLS.\n\n"
      "Examples:\n"
      "  courier ban add --address 2001:db8::/32 --for 7d\n"
      "  courier ban add --client-id phone-4711 -M tenant-a --reason 'stolen'");

  CLI::App* listing = ban_command(app, *flags, "ls", "List the bans in force");
  listing->add_option("-n,--limit", flags->limit, "At most so many (1000); 0: all")->type_name("COUNT");
  listing->footer(
      "Example:\n  courier ban ls -n 0 -o ndjson | jq -r 'select(.made_by == \"flapping\") | .client_id'");

  CLI::App* removing = ban_command(app, *flags, "rm", "Remove bans");
  removing->add_option("ID", flags->ids, "Their ids, as `courier ban ls` shows them")->required();
  removing->footer("Exit code 1 if there is none of one of these ids.\n\nExample:\n  courier ban rm 17 18");

  return [flags, adding, listing] {
    if (adding->parsed()) return add_ban(*flags);
    if (listing->parsed()) return list_bans(*flags);
    return remove_bans(*flags);
  };
}

}  // namespace courier::cli
