#include "courier/record_line.h"

#include <fmt/format.h>

#include "base/log.h"
#include "events/catalogue/catalogue.h"
#include "events/catalogue/json.h"

namespace courier::cli {
namespace {

std::string quoted_text(std::string_view text) {
  return fmt::format("\"{}\"", text);
}

std::string mountpoint_of(std::string_view mountpoint) {
  return mountpoint.empty() ? "" : fmt::format(" mountpoint={}", quoted_text(mountpoint));
}

std::string by(const record::SessionRef& ref) {
  return fmt::format("session={} attach={}", session_text(ref.session), ref.attach.value);
}

std::string messages(const std::vector<record::InboxRef>& refs) {
  std::string text = " messages=";
  for (size_t i = 0; i < refs.size(); ++i) {
    if (i == 8) return text + fmt::format(",… ({} in all)", refs.size());
    text += fmt::format("{}{}@{}", i == 0 ? "" : ",", refs[i].seq, refs[i].position.value);
  }
  return text;
}

std::string step(const record::InboxStep& record) {
  return by(record.by) + messages(record.messages);
}

std::string owner(SessionId session, record::GroupId group) {
  return group ? fmt::format("group={}", group.value) : fmt::format("session={}", session_text(session));
}

struct Name {
  std::string operator()(const record::Publish& r) const {
    return r.will_of.session ? "PUBLISH (will)" : "PUBLISH";
  }
  std::string operator()(const record::Subscribe&) const { return "SUBSCRIBE"; }
  std::string operator()(const record::Unsubscribe&) const { return "UNSUBSCRIBE"; }
  std::string operator()(const record::Attach&) const { return "ATTACH"; }
  std::string operator()(const record::Detach&) const { return "DETACH"; }
  std::string operator()(const record::Acked&) const { return "ACKED"; }
  std::string operator()(const record::Sent&) const { return "SENT"; }
  std::string operator()(const record::Received&) const { return "RECEIVED"; }
  std::string operator()(const record::Completed&) const { return "COMPLETED"; }
  std::string operator()(const record::Qos2In&) const { return "QOS2_IN"; }
  std::string operator()(const record::Released&) const { return "RELEASED"; }
  std::string operator()(const record::Dropped&) const { return "DROPPED"; }
  std::string operator()(const record::Expired&) const { return "EXPIRED"; }
  std::string operator()(const record::RetainedExpired&) const { return "RETAINED_EXPIRED"; }
  std::string operator()(const record::RetainedNext&) const { return "RETAINED_NEXT"; }
  std::string operator()(const record::NodeDown&) const { return "NODE_DOWN"; }
  std::string operator()(const record::Feature&) const { return "FEATURE"; }
  std::string operator()(const record::Own&) const { return "OWN"; }
  std::string operator()(const record::Event&) const { return "EVENT"; }
  std::string operator()(const record::Told&) const { return "TOLD"; }
};

struct Facts {
  std::string operator()(const record::Publish& r) const {
    std::string text =
        fmt::format("topic={} qos={} retain={} payload={}B", quoted_text(r.message->topic),
                    static_cast<int>(r.message->qos), r.message->retain ? 1 : 0, r.message->payload.size());
    if (r.message->publisher) text += " publisher=" + session_text(r.message->publisher);
    if (r.message->expires_at != 0) text += " expires=" + log::iso8601(r.message->expires_at);
    return text + mountpoint_of(r.mountpoint);
  }
  std::string operator()(const record::Subscribe& r) const {
    std::string text = by(r.by);
    for (const auto& entry : r.entries) {
      text += fmt::format(" {} qos={}", quoted_text(entry.filter), static_cast<int>(entry.options.qos));
    }
    if (r.subscription_identifier != 0) text += fmt::format(" identifier={}", r.subscription_identifier);
    return text + mountpoint_of(r.mountpoint);
  }
  std::string operator()(const record::Unsubscribe& r) const {
    std::string text = by(r.by);
    for (const std::string& filter : r.filters) text += " " + quoted_text(filter);
    return text + mountpoint_of(r.mountpoint);
  }
  std::string operator()(const record::Attach& r) const {
    std::string text = fmt::format("client_id={} username={} version={}", quoted_text(r.client_id),
                                   quoted_text(r.username), mqtt::name(r.version));
    text += r.expiry_seconds == record::kNeverExpires ? " expiry=never"
                                                      : fmt::format(" expiry={}s", r.expiry_seconds);
    if (r.inbox_messages_max != 0) text += fmt::format(" inbox_max={}", r.inbox_messages_max);
    if (r.resumed()) text += " resume=" + session_text(r.resumed());
    if (r.replaced()) text += " ends=" + session_text(r.replaced());
    if (r.will.message) text += fmt::format(" will={}", quoted_text(r.will.message->topic));
    return text + mountpoint_of(r.mountpoint);
  }
  std::string operator()(const record::Detach& r) const {
    return fmt::format("{} ends_session={} drops_will={} sent_up_to={}", by(r.of), r.ends_session ? 1 : 0,
                       r.drops_will ? 1 : 0, r.sent_up_to);
  }
  std::string operator()(const record::Acked& r) const { return step(r); }
  std::string operator()(const record::Sent& r) const { return step(r); }
  std::string operator()(const record::Received& r) const { return step(r); }
  std::string operator()(const record::Completed& r) const { return step(r); }
  std::string operator()(const record::Qos2In& r) const {
    return fmt::format("{} id={}", by(r.by), r.packet_id.value);
  }
  std::string operator()(const record::Released& r) const {
    return fmt::format("{} id={}", by(r.by), r.packet_id.value);
  }
  std::string operator()(const record::Dropped& r) const {
    return fmt::format("{} reason={}{}", owner(r.session, r.group), record::name(r.reason),
                       messages(r.messages));
  }
  std::string operator()(const record::Expired& r) const {
    return owner(r.session, r.group) + messages(r.messages);
  }
  std::string operator()(const record::RetainedExpired& r) const {
    return fmt::format("topic={} position={}{}", quoted_text(r.topic), r.position.value,
                       mountpoint_of(r.mountpoint));
  }
  std::string operator()(const record::RetainedNext& r) const {
    return fmt::format("{} {} since={} after={}{}", owner(r.session, {}), quoted_text(r.filter),
                       r.since.value, quoted_text(r.after), mountpoint_of(r.mountpoint));
  }
  std::string operator()(const record::NodeDown& r) const {
    const std::string node = r.node ? fmt::format("node={} ", r.node.value) : "";
    return node + "last_clock=" + log::iso8601(r.last_clock);
  }
  std::string operator()(const record::Own& r) const {
    return fmt::format("partitions={}", fmt::join(r.partitions, ","));
  }
  std::string operator()(const record::Event& r) const {
    const auto kind = events::kind_of(r.kind);
    std::string text = kind ? std::string(events::info(*kind).name) : fmt::format("kind={}", r.kind);
    text += ' ';
    events::append_json(text, r.fields);
    return text;
  }
  std::string operator()(const record::Told& r) const {
    return fmt::format("sink={} up_to={}", quoted_text(r.sink), r.up_to.value);
  }
  std::string operator()(const record::Feature& r) const { return fmt::format("version={}", r.version); }
};

}  // namespace

std::string session_text(SessionId session) {
  return fmt::format("{:016x}", session.value);
}

std::string record_name(const record::Record& record) {
  return std::visit(Name{}, record);
}

std::string record_facts(const record::Record& record) {
  return std::visit(Facts{}, record);
}

}  // namespace courier::cli
