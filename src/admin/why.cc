// /v1/clients/{id}/why: whether a client may publish or subscribe, which rule says so, and who would get it.
#include "admin/why.h"

#include "admin/errc.h"
#include "admin/routes.h"

namespace courier::admin {
namespace {

using Json = nlohmann::ordered_json;
namespace acl = auth::acl;

Json to_json(const acl::NamedRule& rule) {
  Json json = {{"file", rule.file}, {"line", rule.line}, {"text", rule.text}};
  if (!rule.user.empty()) json["user"] = rule.user;
  if (!rule.label.empty()) json["label"] = rule.label;
  return json;
}

Json to_json(const Why& why) {
  Json json = admin::to_json(why.explanation);
  json["connected"] = why.connected;
  if (why.forbidden) {
    json["allowed"] = false;
    json["forbidden"] = true;
  }
  if (!why.hooks.empty()) json["hooks"] = why.hooks;
  if (why.explanation.action == acl::Action::publish) {
    Json list = Json::array();
    for (const Why::Receiver& receiver : why.receivers) {
      Json one = {{"mountpoint", receiver.name.mountpoint},
                  {"client_id", receiver.name.client_id},
                  {"qos", receiver.qos},
                  {"connected", receiver.connected}};
      if (receiver.shared) one["shared"] = true;
      list.push_back(std::move(one));
    }
    json["receivers"] = {{"total", why.receiver_count}, {"first", std::move(list)}};
  }
  return json;
}

struct Question {
  ClientName name;
  acl::Action action{};
  std::string topic;
};

Result<Question> to_question(const Request& request) {
  const Query& parameters = request.query;
  if (const auto stranger = parameters.stranger({"mountpoint", "action", "topic"}))
    return fail(errc::bad_request, "there is no parameter " + *stranger);
  const std::string action = parameters.find("action").value_or("publish");
  if (action != "publish" && action != "subscribe")
    return fail(errc::bad_request, "action must be publish or subscribe");
  const auto topic = parameters.find("topic");
  if (!topic || topic->empty()) return fail(errc::bad_request, "topic is missing");
  return Question{{parameters.find("mountpoint").value_or(""), request.id},
                  action == "publish" ? acl::Action::publish : acl::Action::subscribe,
                  *topic};
}

}  // namespace

Json to_json(const acl::Explanation& why) {
  Json json = {{"allowed", why.allowed},          {"outcome", acl::name(why.outcome)},
               {"action", acl::name(why.action)}, {"topic", why.topic},
               {"username", why.username},        {"client_id", why.client_id},
               {"mountpoint", why.mountpoint}};
  if (why.rule) {
    json["rule"] = to_json(*why.rule);
    if (why.in_part) json["in_part"] = true;
  }
  if (why.nearest) {
    json["nearest"] = to_json(*why.nearest);
    json["nearest"]["difference"] = why.difference;
  }
  json["variables"] = Json::array();
  for (const acl::NamedValue& variable : why.variables) {
    json["variables"].push_back(
        {{"name", variable.name}, {"value", variable.value}, {"usable", variable.usable}});
  }
  json["text"] = why.text();
  return json;
}

void explain_access(const Surroundings& around, const Request& request, const Reply& reply) {
  auto question = to_question(request);
  if (!question)
    return reply.send(
        error_response(question.error(), "known: topic, action (publish, subscribe), mountpoint"));
  around.control->explain_access(std::move(question->name), question->action, std::move(question->topic),
                                 [reply](Result<Why> why) {
                                   reply.send([why = std::move(why)] {
                                     return why ? json_response(to_json(*why)) : error_response(why.error());
                                   });
                                 });
}

}  // namespace courier::admin
