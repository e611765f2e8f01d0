// /v1/clients: who is here, one of them in full, and showing one the door.
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "admin/bans.h"
#include "admin/errc.h"
#include "admin/limits.h"
#include "admin/routes.h"
#include "base/log.h"

namespace courier::admin {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const ClientSummary& client) {
  Json json = {{"mountpoint", client.name.mountpoint},
               {"client_id", client.name.client_id},
               {"connected", client.connection.has_value()},
               {"username", client.username},
               {"protocol", client.protocol},
               {"subscriptions", client.subscription_count},
               {"inbox", {{"messages", client.inbox_messages}, {"bytes", client.inbox_bytes}}}};
  if (!client.connection) {
    if (client.detached_at != 0) json["disconnected_at"] = log::iso8601(client.detached_at);
    return json;
  }
  json["peer"] = client.connection->peer;
  json["listener"] = client.connection->listener;
  json["connected_at"] = log::iso8601(client.connection->connected_at);
  json["in_flight"] = client.connection->in_flight;
  return json;
}

Json to_json(const ClientDetail& client) {
  Json json = to_json(client.summary);
  // As text: a number of 64 bits does not survive JavaScript.
  json["session_id"] = fmt::format("{:016x}", client.session_id);
  json["stored"] = client.stored;
  json["expiry_seconds"] = client.expiry_seconds ? Json(*client.expiry_seconds) : Json(nullptr);
  if (client.expires_at) json["expires_at"] = log::iso8601(*client.expires_at);
  json["attach_position"] = client.attach_position;
  json["inbox"]["first"] = client.inbox_first;
  json["inbox"]["next"] = client.inbox_next;
  json["inbox"]["in_memory"] = client.inbox_in_memory;
  json["next_packet_id"] = client.next_packet_id;
  json["qos2_unreleased"] = client.qos2_unreleased;
  if (client.summary.connection) {
    const ConnectionFacts& connection = *client.summary.connection;
    json["keep_alive_seconds"] = connection.keep_alive_seconds;
    json["window"] = connection.window;
    json["messages_in"] = connection.messages_in;
    json["messages_out"] = connection.messages_out;
    json["bytes_in"] = connection.bytes_in;
    json["bytes_out"] = connection.bytes_out;
    json["dropped"] = connection.dropped;
  }
  if (client.limits) {
    Json limits = Json::array();
    for (const LimitFacts::One& one : client.limits->limits) {
      limits.push_back({{"name", one.name}, {"per", one.per}});
    }
    json["limits"] = std::move(limits);
    json["limited"] = {{"delayed_ms", client.limits->delayed_ms},
                       {"delayed_seconds_total", client.limits->delayed_seconds},
                       {"delays", client.limits->delays},
                       {"refusals", client.limits->refusals}};
  }
  if (client.will) {
    json["will"] = {{"topic", client.will->topic},
                    {"qos", client.will->qos},
                    {"retain", client.will->retain},
                    {"delay_seconds", client.will->delay_seconds},
                    {"payload_bytes", client.will->payload_bytes}};
  }
  if (client.ban) json["ban"] = admin::to_json(*client.ban);
  Json subscriptions = Json::array();
  for (const SubscriptionFacts& subscription : client.subscriptions) {
    Json one = {{"filter", subscription.filter},
                {"qos", subscription.qos},
                {"no_local", subscription.no_local},
                {"retain_as_published", subscription.retain_as_published},
                {"retain_handling", subscription.retain_handling}};
    if (subscription.identifier != 0) one["identifier"] = subscription.identifier;
    subscriptions.push_back(std::move(one));
  }
  json["subscriptions"] = std::move(subscriptions);
  return json;
}

// A cursor is the last name of a page: its bytes in hex, so that callers do not build their own.
std::string to_cursor(const ClientName& name) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : name.mountpoint + '\0' + name.client_id) {
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

std::optional<ClientName> from_cursor(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  const size_t zero = bytes.find('\0');
  if (zero == std::string::npos) return std::nullopt;
  return ClientName{bytes.substr(0, zero), bytes.substr(zero + 1)};
}

Result<ClientQuery> to_client_query(const Query& parameters) {
  if (const auto stranger = parameters.stranger({"mountpoint", "prefix", "connected", "limit", "cursor"}))
    return fail(errc::bad_request, "there is no parameter " + *stranger);
  ClientQuery query;
  query.mountpoint = parameters.find("mountpoint");
  query.prefix = parameters.find("prefix").value_or("");
  query.limit = kPageDefault;
  if (const auto connected = parameters.find("connected")) {
    if (*connected != "true" && *connected != "false")
      return fail(errc::bad_request, "connected must be true or false");
    query.connected = *connected == "true";
  }
  if (const auto limit = parameters.find("limit")) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(limit->data(), limit->data() + limit->size(), number);
    if (error != std::errc() || end != limit->data() + limit->size() || number == 0 || number > kPageMax)
      return fail(errc::bad_request, "limit must be a number from 1 to " + std::to_string(kPageMax));
    query.limit = number;
  }
  if (const auto cursor = parameters.find("cursor")) {
    query.after = from_cursor(*cursor);
    if (!query.after)
      return fail(errc::bad_request, "the cursor is not one that an earlier page gave as next_cursor");
  }
  return query;
}

// Of the routes that name one client.
Result<ClientName> client_name(const Request& request) {
  if (const auto stranger = request.query.stranger({"mountpoint"}))
    return fail(errc::bad_request, "there is no parameter " + *stranger);
  return ClientName{request.query.find("mountpoint").value_or(""), request.id};
}

Response to_response(const ClientPage& page) {
  Json clients = Json::array();
  for (const ClientSummary& client : page.clients) clients.push_back(to_json(client));
  Json body = {{"clients", std::move(clients)}};
  if (page.more && !page.clients.empty()) body["next_cursor"] = to_cursor(page.clients.back().name);
  return json_response(body);
}

constexpr std::string_view kListHint = "known: mountpoint, prefix, connected, limit, cursor";
constexpr std::string_view kNameHint = "known: mountpoint";
constexpr std::string_view kMissingHint =
    "client ids are case-sensitive and percent-encoded in URLs; a client of a listener with a mountpoint "
    "needs "
    "?mountpoint=";

Response missing(const Error& error) {
  return error_response(error, error.code == make_error_code(errc::not_found) ? kMissingHint : "");
}

}  // namespace

void list_clients(const Surroundings& around, const Request& request, const Reply& reply) {
  auto query = to_client_query(request.query);
  if (!query) return reply.send(error_response(query.error(), kListHint));
  around.control->list_clients(*std::move(query), [reply](ClientPage page) {
    reply.send([page = std::move(page)] { return to_response(page); });
  });
}

void show_client(const Surroundings& around, const Request& request, const Reply& reply) {
  auto name = client_name(request);
  if (!name) return reply.send(error_response(name.error(), kNameHint));
  around.control->show_client(*std::move(name), [reply](Result<ClientDetail> found) {
    reply.send([found = std::move(found)] {
      return found ? json_response(to_json(*found)) : missing(found.error());
    });
  });
}

void kick_client(const Surroundings& around, const Request& request, const Reply& reply) {
  auto name = client_name(request);
  if (!name) return reply.send(error_response(name.error(), kNameHint));
  around.control->kick_client(*name, [reply, name = *name](const Result<void>& done) {
    if (!done) return reply.send(missing(done.error()));
    log::info("a client was disconnected over the REST API",
              {{"client_id", name.client_id}, {"mountpoint", name.mountpoint}});
    reply.send(json_response(
        Json{{"mountpoint", name.mountpoint}, {"client_id", name.client_id}, {"kicked", true}}));
  });
}

}  // namespace courier::admin
