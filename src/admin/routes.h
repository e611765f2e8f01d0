// Every method and path of the HTTP side, in one table; openapi.yaml describes the same, and a test compares
// them. Each resource has a file of its own.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/exchange.h"

namespace courier::admin {

struct Route {
  enum class Access : uint8_t { open, token };
  std::string_view method;
  std::string_view path;  // one segment may be {id}
  Access access = Access::token;
  Handler handler = nullptr;
  bool slow = false;  // may take longer than the server's answer_timeout
};

std::span<const Route> routes();

// What a method and a path mean: a route, or nothing with the methods that the path has (none: no such path).
struct Found {
  const Route* route = nullptr;
  std::string id;
  std::string allowed;  // "GET, HEAD"
};
// HEAD is answered as GET.
Found find_route(std::string_view method, const std::vector<std::string>& segments);
// Whether the path lies where only tokens lead, be there a route or not.
bool needs_token(const std::vector<std::string>& segments);

// --- the handlers ---
// health.cc
void get_livez(const Surroundings&, const Request&, const Reply&);
void get_readyz(const Surroundings&, const Request&, const Reply&);
// metrics.cc
void get_metrics(const Surroundings&, const Request&, const Reply&);
// clients.cc
void list_clients(const Surroundings&, const Request&, const Reply&);
void show_client(const Surroundings&, const Request&, const Reply&);
void kick_client(const Surroundings&, const Request&, const Reply&);
// why.cc
void explain_access(const Surroundings&, const Request&, const Reply&);
// trace.cc
void trace_client(const Surroundings&, const Request&, const Reply&);
// bans.cc
void list_bans(const Surroundings&, const Request&, const Reply&);
void add_ban(const Surroundings&, const Request&, const Reply&);
void remove_ban(const Surroundings&, const Request&, const Reply&);
// node.cc
void show_node(const Surroundings&, const Request&, const Reply&);
void drain_node(const Surroundings&, const Request&, const Reply&);
void undrain_node(const Surroundings&, const Request&, const Reply&);
// cluster.cc
void show_cluster(const Surroundings&, const Request&, const Reply&);
// listeners.cc
void list_listeners(const Surroundings&, const Request&, const Reply&);
// sinks.cc
void list_sinks(const Surroundings&, const Request&, const Reply&);
void test_sink(const Surroundings&, const Request&, const Reply&);
void replay_sink(const Surroundings&, const Request&, const Reply&);
// events.cc
void follow_events(const Surroundings&, const Request&, const Reply&);
// config.cc
void reload_config(const Surroundings&, const Request&, const Reply&);
// backup.cc
void make_backup(const Surroundings&, const Request&, const Reply&);

}  // namespace courier::admin
