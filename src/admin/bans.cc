// /v1/bans: who may not come in.
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "admin/bans.h"
#include "admin/errc.h"
#include "admin/limits.h"
#include "admin/routes.h"
#include "base/log.h"

namespace courier::admin {

nlohmann::ordered_json to_json(const admission::Ban& ban) {
  using Json = nlohmann::ordered_json;
  Json json = {{"id", ban.id}, {std::string(admission::name(ban.target.kind)), ban.target.value}};
  if (ban.target.mountpoint) json["mountpoint"] = *ban.target.mountpoint;
  json["reason"] = ban.reason;
  json["made_by"] = ban.made_by;
  json["made_at"] = log::iso8601(ban.made_at);
  json["until"] = ban.until == 0 ? Json(nullptr) : Json(log::iso8601(ban.until));
  return json;
}

namespace {

using Json = nlohmann::ordered_json;
using admission::Ban;
using Kind = admission::BanTarget::Kind;

constexpr std::string_view kBanShape =
    "the body is a JSON object with one of address, username, client_id, and perhaps mountpoint (of a name), "
    "seconds (0 or absent: for ever), reason, made_by";
constexpr int64_t kSecondsMax = 10LL * 366 * 24 * 3600;

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct Wanted {
  admission::BanTarget target;
  std::string reason, made_by = "api";
  int64_t seconds = 0;
};

Result<Wanted> to_wanted(const std::string& text) {
  const auto body = nlohmann::json::parse(text, nullptr, false);
  if (!body.is_object()) return fail(errc::bad_request, "the body is not a JSON object");
  Wanted wanted;
  int targets = 0;
  for (const auto& [key, value] : body.items()) {
    const auto take = [&](std::string& into) -> Result<void> {
      if (!value.is_string()) return fail(errc::bad_request, "there is no text in the field " + key);
      into = value.template get<std::string>();
      return {};
    };
    Result<void> taken;
    if (key == "reason") {
      taken = take(wanted.reason);
    } else if (key == "made_by") {
      taken = take(wanted.made_by);
    } else if (key == "mountpoint") {
      taken = take(wanted.target.mountpoint.emplace());
    } else if (key == "seconds") {
      const bool good = value.is_number_integer() && value >= 0 && value <= kSecondsMax;
      if (!good) return fail(errc::bad_request, "seconds must be a whole number from 0 to ten years");
      wanted.seconds = value.template get<int64_t>();
    } else {
      bool known = false;
      for (const Kind kind : {Kind::address, Kind::username, Kind::client_id}) {
        if (key != admission::name(kind)) continue;
        known = true;
        ++targets;
        wanted.target.kind = kind;
        taken = take(wanted.target.value);
      }
      if (!known) return fail(errc::bad_request, "there is no field " + key);
    }
    if (!taken) return fail(taken.error());
  }
  if (targets != 1)
    return fail(errc::bad_request, "a ban is of one thing: an address, a username or a client_id");
  // Made by people, whatever they say.
  if (wanted.made_by.empty() || wanted.made_by == "flapping") wanted.made_by = "api";
  return wanted;
}

}  // namespace

void list_bans(const Surroundings& around, const Request& request, const Reply& reply) {
  const auto known = "known: limit, cursor";
  if (const auto stranger = request.query.stranger({"limit", "cursor"}))
    return reply.send(error_response(400, "there is no parameter " + *stranger, known));
  const auto limit = number_of(request.query.find("limit").value_or(std::to_string(kPageDefault)));
  if (!limit || *limit == 0 || *limit > kPageMax)
    return reply.send(error_response(400, "limit must be a number from 1 to " + std::to_string(kPageMax)));
  const auto after = number_of(request.query.find("cursor").value_or("0"));
  if (!after)
    return reply.send(error_response(400, "the cursor is not one that an earlier page gave as next_cursor"));
  const BanPage page = around.control->list_bans(*after, *limit);
  Json bans = Json::array();
  for (const Ban& ban : page.bans) bans.push_back(to_json(ban));
  Json body = {{"bans", std::move(bans)}};
  if (page.more) body["next_cursor"] = std::to_string(page.bans.back().id);
  reply.send(json_response(body));
}

void add_ban(const Surroundings& around, const Request& request, const Reply& reply) {
  auto wanted = to_wanted(request.body);
  if (!wanted) return reply.send(error_response(wanted.error(), kBanShape));
  const WallMs until = wanted->seconds == 0 ? 0 : system_clock().wall_ms() + wanted->seconds * 1000;
  around.control->add_ban(std::move(wanted->target), std::move(wanted->reason), std::move(wanted->made_by),
                          until, [reply](const Result<Ban>& ban) {
                            if (!ban) return reply.send(error_response(ban.error()));
                            log::warn("a ban was made over the REST API",
                                      {{"id", ban->id},
                                       {"kind", admission::name(ban->target.kind)},
                                       {"value", ban->target.value},
                                       {"reason", ban->reason},
                                       {"made_by", ban->made_by}});
                            reply.send([ban = *ban] { return json_response(to_json(ban), 201); });
                          });
}

void remove_ban(const Surroundings& around, const Request& request, const Reply& reply) {
  const auto id = number_of(request.id);
  if (!id) return reply.send(error_response(400, "the id of a ban is a number", "GET /v1/bans lists them"));
  around.control->remove_ban(*id, [reply](const Result<Ban>& ban) {
    if (!ban) return reply.send(error_response(ban.error(), "GET /v1/bans lists them"));
    log::warn("a ban was removed over the REST API",
              {{"id", ban->id}, {"kind", admission::name(ban->target.kind)}, {"value", ban->target.value}});
    reply.send([ban = *ban] { return json_response(to_json(ban)); });
  });
}

}  // namespace courier::admin
