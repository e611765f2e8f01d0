// courier listener ls: where clients come in.
#include <cstdio>
#include <memory>

#include "courier/admin_client.h"
#include "courier/json_text.h"
#include "courier/text_table.h"

namespace courier::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ListenerFlags {
  AdminFlags admin;
  std::string output = "table";
};

// The one that ends first: that is the one to renew.
std::string first_end(const Json& listener) {
  std::string first;
  for (const Json& one : listener.value("certificates", Json::array())) {
    const std::string end = one.value("not_after", "");
    if (first.empty() || end < first) first = end;
  }
  return first.substr(0, first.find('T'));
}

std::string listeners_table(const Json& listeners) {
  TextTable table(
      {"NAME", "BIND", "PROTOCOL", "PROXY", "MOUNTPOINT", "CONNECTIONS", "MAX", "CERTIFICATE UNTIL"});
  for (const Json& one : listeners) {
    const std::string most = text_in(one, "connections_max");
    table.add({text_in(one, "name"), text_in(one, "bind"), text_in(one, "protocol"),
               text_in(one, "proxy_protocol"), text_in(one, "mountpoint"), text_in(one, "connections"),
               most == "0" ? "" : most, first_end(one)});
  }
  return table.text();
}

int list(const ListenerFlags& flags) {
  auto admin = AdminClient::open(flags.admin, "listener ls");
  if (!admin) return admin.error();
  const auto answer = admin->ask_json("GET", "/v1/listeners");
  if (!answer) return answer.error();
  const Json listeners = answer->value("listeners", Json::array());
  if (flags.output == "table") fmt::print("{}", listeners_table(listeners));
  if (flags.output == "json") print_json(listeners, 2);
  if (flags.output == "ndjson") {
    for (const Json& one : listeners) print_json(one, -1);
  }
  return kOk;
}

}  // namespace

Run set_up_listener(CLI::App& app) {
  auto flags = std::make_shared<ListenerFlags>();
  app.require_subcommand(1);
  app.footer("Example:\n  courier listener ls");
  CLI::App* listing = app.add_subcommand("ls", "List the listeners of a running node");
  listing->set_help_flag("--help,-h", "Show this help and exit");
  CLI::Option* kind = add_output(*listing, flags->output, kLineEach);
  listing
      ->add_flag_callback(
          "--json", [flags] { flags->output = "json"; }, "As -o json")
      ->excludes(kind);
  flags->admin.add_to(*listing);
  listing->footer(fmt::format(
      "CONNECTIONS: open, whether or not CONNECT has come. CERTIFICATE UNTIL: of the one that ends\n"
      "first; -o json has all of them, with their names.\n\n{}\n\n"
      "Example:\n  courier listener ls",
      kAdminHelp));
  return [flags] { return list(*flags); };
}

}  // namespace courier::cli
